// Convolution over time: y_t = b + sum over places j and channels c of W[j][c] x[t - before + j * dilation][c], with
// zeros outside the sequence; per group of channels. Immutable: any number of threads may share one.
#pragma once

#include "engine/weights.h"

namespace pyrnn {

struct ConvolutionShape {
  int channels, outputs;  // C, O
  int kernel, dilation, groups;
  int before, after;  // zeros at both ends; together span()

  int span() const noexcept { return dilation * (kernel - 1); }
};

class Convolution {
 public:
  // weight [O,C/g,K] as torch has it, bias [O] or null; needed no more afterwards.
  Convolution(const ConvolutionShape& shape, const float* weight, const float* bias, const Ops<float>& ops);

  const ConvolutionShape& shape() const noexcept { return shape_; }
  // The steps [B,steps,C], from `before` steps ahead of the first output on, each sequence `stride` numbers after the
  // last; y [steps,B,O].
  void forward(const float* x, std::ptrdiff_t stride, int steps, int batch, float* y) const noexcept;

 private:
  ConvolutionShape shape_;
  const Ops<float>& ops_;
  std::vector<PackedMatrix<float>> packed_;  // of each group [K*C/g,O/g]
  Buffer<float> bias_;
};

// The steps that B running sequences of a convolution have seen last. It moves them to the front now and then, not at
// every step.
class History {
 public:
  // With start false nothing is written, as MeasuredMemory asks for.
  History(const Convolution& convolution, int batch, int block, Memory& memory, bool start);

  void run(const float* x, int steps, float* y) noexcept;  // x [steps,B,C], y [steps,B,O], steps at most block
  void reset(int row) noexcept;
  float* last(int row) const noexcept;  // [before,C] of one sequence
  int size() const noexcept { return convolution_.shape().before * convolution_.shape().channels; }

 private:
  const Convolution& convolution_;
  int batch_, steps_, at_;  // room for so many steps; where the next one goes
  Buffer<float> seen_;      // [B,steps,C]
};

}  // namespace pyrnn
