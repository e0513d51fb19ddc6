// y = W x + b with the same product as the recurrent layers: the bits do not depend on the number of threads or on how
// the batch is cut.
#pragma once

#include "engine/weights.h"

namespace pyrnn {

template <class T> class Linear {
 public:
  // weight [N,K], bias [N] or null; both must stay alive and unchanged.
  Linear(const T* weight, const T* bias, int N, int K, const Ops<T>& ops);

  int inputs() const noexcept { return K_; }
  int outputs() const noexcept { return N_; }
  void forward(const T* x, int M, T* y) const;  // x [M,K], y [M,N]
  // Sums over rows run from the first to the last. dbias is null if the layer has no bias.
  void backward(const T* x, const T* dy, int M, T* dx, T* dweight, T* dbias) const;

 private:
  const T* weight_;
  int N_, K_;
  const Ops<T>& ops_;
  PackedMatrix<T> packed_;
  Buffer<T> bias_;
};

}  // namespace pyrnn
