#include "engine/linear.h"

#include <algorithm>

#include "threads/ieee.h"
#include "threads/parallel.h"

namespace pyrnn {
namespace {

template <class T> Rows<T> matrix(T* data, int width) { return {data, width, width, 1}; }

// Calls f(first, count) for parts of M rows, which the threads share.
template <class F> void over(int M, double work, F f) {
  const int pieces = std::min(threads_for(work), std::max(M, 1));
  for_each(pieces, pieces, [&](int piece) {
    const IeeeMode mode;
    const int first = cut(M, piece, pieces);
    f(first, cut(M, piece + 1, pieces) - first);
  });
}

}  // namespace

template <class T>
Linear<T>::Linear(const T* weight, const T* bias, int N, int K, const Ops<T>& ops)
    : weight_(weight), N_(N), K_(K), ops_(ops), packed_(pack_matrix(ops, weight, N, K, true)), bias_(N) {
  bias ? std::copy_n(bias, N, bias_.data()) : std::fill_n(bias_.data(), N, T(0));
}

template <class T> void Linear<T>::forward(const T* x, int M, T* y) const {
  over(M, static_cast<double>(M) * N_ * K_, [&](int first, int count) {
    ops_.gemm({count, N_, K_, matrix(x + static_cast<std::ptrdiff_t>(first) * K_, K_), packed_.data.data(), K_, 0,
               bias_.data(), false, matrix(y + static_cast<std::ptrdiff_t>(first) * N_, N_)});
  });
}

template <class T> void Linear<T>::backward(const T* x, const T* dy, int M, T* dx, T* dweight, T* dbias) const {
  const PackedMatrix<T> transposed = pack_matrix(ops_, weight_, N_, K_, false);
  const double work = static_cast<double>(M) * N_ * K_;
  over(M, work, [&](int first, int count) {
    ops_.gemm({count, K_, N_, matrix(dy + static_cast<std::ptrdiff_t>(first) * N_, N_), transposed.data.data(), N_, 0,
               nullptr, false, matrix(dx + static_cast<std::ptrdiff_t>(first) * K_, K_)});
  });
  const IeeeMode mode;
  const Buffer<T> scratch(ops_.outer_scratch(K_));
  ops_.outer({N_, M, matrix(dy, N_), {{K_, matrix(x, K_), dweight, K_, 1}}, false, scratch.data()});
  if (!dbias) return;
  const Buffer<T> lost(N_);
  ops_.column_sums(matrix(dy, N_), M, N_, false, dbias, lost.data());
}

template class Linear<float>;
template class Linear<double>;

}  // namespace pyrnn
