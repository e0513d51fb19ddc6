#include "model/convolution.h"

#include <algorithm>

#include "threads/ieee.h"

namespace pyrnn {

Convolution::Convolution(const ConvolutionShape& shape, const float* weight, const float* bias, const Ops<float>& ops)
    : shape_(shape), ops_(ops), bias_(shape.outputs) {
  const int K = shape.kernel, C = shape.channels / shape.groups, O = shape.outputs / shape.groups;
  std::vector<float> matrix(static_cast<std::size_t>(O) * K * C);  // [O/g,K,C/g]: in the order of the sum
  for (int g = 0; g < shape.groups; ++g) {
    for (int o = 0; o < O; ++o)
      for (int c = 0; c < C; ++c)
        for (int j = 0; j < K; ++j)
          matrix[(static_cast<std::size_t>(o) * K + j) * C + c] =
              weight[((static_cast<std::size_t>(g) * O + o) * C + c) * K + j];
    packed_.push_back(pack_matrix(ops, matrix.data(), O, K * C, true));
  }
  bias ? std::copy_n(bias, shape.outputs, bias_.data()) : std::fill_n(bias_.data(), shape.outputs, 0.0f);
}

// Without dilation and groups a window is contiguous; otherwise its taps are multiplied one after the other.
void Convolution::forward(const float* x, std::ptrdiff_t stride, int steps, int batch, float* y) const noexcept {
  const IeeeMode mode;
  const int C = shape_.channels, in = C / shape_.groups, out = shape_.outputs / shape_.groups;
  const bool whole = shape_.dilation == 1 && shape_.groups == 1;
  const int pieces = whole ? 1 : shape_.kernel, inner = whole ? shape_.kernel * C : in;
  const std::ptrdiff_t O = shape_.outputs;
  for (int g = 0; g < shape_.groups; ++g)
    for (int j = 0; j < pieces; ++j) {
      const float* const from = x + static_cast<std::ptrdiff_t>(j) * shape_.dilation * C + g * in;
      ops_.gemm({steps * batch,
                 out,
                 inner,
                 {from, C, stride, batch},
                 packed_[g].data.data(),
                 packed_[g].rows,
                 j * inner,
                 bias_.data() + g * out,
                 j > 0,
                 {y + g * out, O * batch, O, batch}});
    }
}

History::History(const Convolution& convolution, int batch, int block, Memory& memory, bool start)
    : convolution_(convolution),
      batch_(batch),
      steps_(convolution.shape().span() + std::max(block, convolution.shape().before)),
      at_(convolution.shape().before),
      seen_(elements(batch, steps_, convolution.shape().channels), memory) {
  if (start) std::fill_n(seen_.data(), elements(batch, steps_, convolution.shape().channels), 0.0f);
}

float* History::last(int row) const noexcept {
  const ConvolutionShape& shape = convolution_.shape();
  return seen_.data() + (static_cast<std::ptrdiff_t>(row) * steps_ + at_ - shape.before) * shape.channels;
}

void History::reset(int row) noexcept { std::fill_n(last(row), size(), 0.0f); }

void History::run(const float* x, int steps, float* y) noexcept {
  const ConvolutionShape& shape = convolution_.shape();
  const std::ptrdiff_t C = shape.channels, stride = steps_ * C;
  if (at_ + steps + shape.after > steps_) {
    for (int row = 0; row < batch_; ++row) std::copy_n(last(row), size(), seen_.data() + row * stride);
    at_ = shape.before;
  }
  for (int t = 0; t < steps; ++t)
    for (int row = 0; row < batch_; ++row)
      std::copy_n(x + (static_cast<std::ptrdiff_t>(t) * batch_ + row) * C, C,
                  seen_.data() + row * stride + (at_ + t) * C);
  convolution_.forward(last(0), stride, steps, batch_, y);
  at_ += steps;
}

}  // namespace pyrnn
