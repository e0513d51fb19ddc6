// Packed weights and tapes as Python holds them, with the tensors that they point into.
#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "bindings/arrays.h"
#include "engine/stack.h"

namespace pyrnn {

template <class T> struct Network {
  std::vector<Tensor> arrays;
  Weights<T> weights;
  unsigned long long checksum = checksum_now();

  Network(const Spec& spec, std::vector<Tensor> kept, const Ops<T>& ops, Format format)
      : arrays(std::move(kept)), weights(spec, pointers(), ops, format) {
    // An empty tensor remains, to know which library the weights came from.
    if (format != Format::native) arrays = {Tensor::empty<T>({0}, arrays[0])};
  }

  // Returns whether these are the tensors that were packed, with the same numbers. It reads all of them: at one step
  // of one sequence that takes about as long as the step, from ten steps on it does not matter.
  bool holds(const std::vector<Tensor>& given) const {
    if (given.size() != arrays.size()) return false;
    for (std::size_t i = 0; i < given.size(); ++i)
      if (!is_at(i, given[i])) return false;
    return has_its_numbers();
  }
  // Returns whether a tensor is the i-th of those that were packed.
  bool is_at(std::size_t i, const Tensor& given) const {
    return given.data() == arrays[i].data() && given.is_like(arrays[i]);
  }
  bool has_its_numbers() const { return checksum == checksum_now(); }

 private:
  std::vector<const T*> pointers() const {
    std::vector<const T*> all;
    for (const Tensor& a : arrays) all.push_back(data_of<T>(a));
    return all;
  }
  unsigned long long checksum_now() const {
    unsigned long long all = 0;
    for (const Tensor& a : arrays) all = 31 * all + weights.ops().checksum(data_of<T>(a), a.size());
    return all;
  }
};

template <class T> using Shared = std::shared_ptr<const Network<T>>;

struct PyWeights {
  std::variant<Shared<float>, Shared<double>> network;
};

// The tape of a call, and the arrays that its options point into: backward needs both.
template <class T> struct Recorded {
  Shared<T> network;
  Layout layout;
  Array x, active, reset;  // x only with checkpoints: otherwise the tape has a copy
  std::vector<Array> reset_state;
  Tape<T> tape;
};

struct PyTape {
  std::variant<std::shared_ptr<const Recorded<float>>, std::shared_ptr<const Recorded<double>>> recorded;
};

template <class T> State<const T> pointers(const std::vector<Array>& arrays) {
  return {data_of<T>(arrays[0]), arrays.size() > 1 ? data_of<T>(arrays[1]) : nullptr};
}

// Returns new arrays for h, or h and c, in the caller's shape.
template <class T> std::vector<Array> new_state(const Spec& spec, const Layout& layout, const Tensor& like) {
  std::vector<Array> state = {Tensor::empty<T>(layout.state(spec, spec.recurrent_size()), like)};
  if (spec.has_cell_state()) state.emplace_back(Tensor::empty<T>(layout.state(spec, spec.hidden_size), like));
  return state;
}

template <class T> State<T> outputs(const std::vector<Array>& arrays) {
  return {writable<T>(*arrays[0]), arrays.size() > 1 ? writable<T>(*arrays[1]) : nullptr};
}

}  // namespace pyrnn
