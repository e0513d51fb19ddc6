// Convolution over time: y_t = b + sum over taps j and channels c of W[j][c] x[t - before + j * dilation][c], per
// group of channels, with zeros outside of the sequence. It is immutable: any number of threads may share one.
#pragma once

#include "engine/weights.h"

namespace pyrnn {

struct ConvolutionShape {
  int channels, outputs;  // C, O
  int kernel, dilation, groups;
  int before, after;  // zeros added at both ends; their sum is span()

  int span() const noexcept { return dilation * (kernel - 1); }
};

class Convolution {
 public:
  // weight [O,C/g,K] as in torch, bias [O] or null; the constructor copies both.
  Convolution(const ConvolutionShape& shape, const float* weight, const float* bias, const Ops<float>& ops);

  const ConvolutionShape& shape() const noexcept { return shape_; }
  // x holds steps [B,steps,C] and begins `before` steps ahead of the first output; the sequences are `stride` elements
  // apart. y is [steps,B,O].
  void forward(const float* x, std::ptrdiff_t stride, int steps, int batch, float* y) const noexcept;

 private:
  ConvolutionShape shape_;
  const Ops<float>& ops_;
  std::vector<PackedMatrix<float>> packed_;  // [K*C/g,O/g] of each group
  Buffer<float> bias_;
};

// The latest inputs of a convolution for B running sequences. New steps are appended; only when the memory is full
// does it move the latest ones to the front.
class History {
 public:
  // With start = false the constructor writes nothing, as MeasuredMemory requires.
  History(const Convolution& convolution, int batch, int block, Memory& memory, bool start);

  void run(const float* x, int steps, float* y) noexcept;  // x [steps,B,C], y [steps,B,O], steps at most block
  void reset(int row) noexcept;
  float* last(int row) const noexcept;  // [before,C] of one sequence
  int size() const noexcept { return convolution_.shape().before * convolution_.shape().channels; }

 private:
  const Convolution& convolution_;
  int batch_, steps_, at_;  // steps_: the capacity of seen_; at_: the position of the next step
  Buffer<float> seen_;      // [B,steps,C]
};

}  // namespace pyrnn
