// What a forward pass leaves behind: one LayerTape a layer and direction, one Tape a network.
//
// The same storage serves inference: there it holds a few steps only and is written round and round.
#pragma once

#include <algorithm>
#include <vector>

#include "runtime/buffer.h"
#include "runtime/spec.h"

namespace pyrnn {

// [steps,B,width], reused from the start when `steps` are through.
template <class T> struct StepBuffer {
  Buffer<T> data;
  int steps = 1, batch = 0, width = 0;

  StepBuffer() = default;
  StepBuffer(int steps_, int batch_, int width_)
      : data(static_cast<std::size_t>(steps_) * batch_ * width_), steps(steps_), batch(batch_), width(width_) {}
  T* at(int step, int row = 0) const noexcept {
    return data.data() + (static_cast<std::ptrdiff_t>(step % steps) * batch + row) * width;
  }
  Rows<T> rows(int step, int row = 0, int count = -1) const noexcept {
    const std::ptrdiff_t stride = static_cast<std::ptrdiff_t>(batch) * width;
    return {at(step, row), stride, width, std::max(count < 0 ? batch : count, 1)};
  }
};

// Steps count in the order of the scan: step 0 of the reverse direction is the last time.
template <class T> struct LayerTape {
  StepBuffer<T> gates;  // [T,B,S*H]: cells/*.h say what the S slots hold
  StepBuffer<T> h;      // [T+1,B,P]: h before step t, at t
  StepBuffer<T> c;      // [T+1,B,H]: LSTM only
  StepBuffer<T> m;      // [T,B,H]: o tanh(c), with proj_size only

  LayerTape(const Spec& spec, int T_, int B, bool keep, int block)
      : gates(keep ? T_ : block, B, spec.slots() * spec.hidden_size),
        h(keep ? T_ + 1 : 2, B, spec.recurrent_size()),
        c(!spec.has_cell_state() ? 0 : keep ? T_ + 1 : 1, B, spec.hidden_size),
        m(!spec.proj_size ? 0 : keep ? T_ : 1, B, spec.hidden_size) {
    c.steps = std::max(c.steps, 1);
    m.steps = std::max(m.steps, 1);
  }
};

template <class T> struct Tape {
  int T_ = 0, B = 0;
  std::vector<StepBuffer<T>> input;     // a layer's input [T,B,I], after dropout
  std::vector<StepBuffer<T>> mask;      // dropout's factors on the input of layer 1 .. L-1; empty without dropout
  std::vector<LayerTape<T>> direction;  // [L * D]
};

}  // namespace pyrnn
