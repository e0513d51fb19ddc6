// Packed weights as Python holds them, with the arrays they were packed from.
#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "bindings/arrays.h"
#include "runtime/weights.h"

namespace pyrnn {

template <class T> struct Network {
  std::vector<py::array> arrays;
  Weights<T> weights;

  Network(const Spec& spec, std::vector<py::array> kept, const Ops<T>& ops)
      : arrays(std::move(kept)), weights(spec, pointers(), ops) {}

 private:
  std::vector<const T*> pointers() const {
    std::vector<const T*> all;
    for (const py::array& a : arrays) all.push_back(static_cast<const T*>(a.data()));
    return all;
  }
};

template <class T> using Shared = std::shared_ptr<const Network<T>>;

struct PyWeights {
  std::variant<Shared<float>, Shared<double>> network;
};

}  // namespace pyrnn
