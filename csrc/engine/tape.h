// This file defines what a forward pass keeps for backward: one LayerTape per layer and direction. stack.h defines the
// Tape of a network.
//
// Inference uses the same buffers with few steps, which are overwritten again and again.
#pragma once

#include <algorithm>
#include <vector>

#include "memory/buffer.h"
#include "engine/spec.h"

namespace pyrnn {

// The arrays of a state: [L*D,B,width] of a network, or [B,width] of a direction. A null pointer as an input means
// zero.
template <class T> struct State {
  T* h = nullptr;
  T* c = nullptr;  // LSTM only
};

// Copies, or sets to zero if `from` is null.
template <class T> void copy_or_zero(const T* from, T* to, std::size_t elements) {
  from ? std::copy_n(from, elements, to) : std::fill_n(to, elements, T(0));
}

// A buffer [steps,B,width]; step t is at t % steps, so a longer scan reuses it.
template <class T> struct StepBuffer {
  Buffer<T> data;
  int steps = 1, batch = 0, width = 0;

  StepBuffer() = default;
  StepBuffer(int steps_, int batch_, int width_, Memory& memory = kept_memory())
      : data(elements(steps_, batch_, width_), memory), steps(steps_), batch(batch_), width(width_) {}
  explicit operator bool() const noexcept { return width > 0; }
  T* at(int step, int row = 0) const noexcept {
    return width ? data.data() + (static_cast<std::ptrdiff_t>(step % steps) * batch + row) * width : nullptr;
  }
  Rows<T> rows(int step, int row = 0, int count = -1) const noexcept {
    const std::ptrdiff_t stride = static_cast<std::ptrdiff_t>(batch) * width;
    return {at(step, row), stride, width, std::max(count < 0 ? batch : count, 1)};
  }
  std::size_t size() const noexcept { return static_cast<std::size_t>(steps) * batch * width; }
};

// The number of rows whose W_ih x one product computes: enough to fill tiles, and few enough for the gates to stay in
// L2.
constexpr int rows_at_once = 48;
inline int block_of(int steps, int batch) noexcept { return std::clamp(rows_at_once / std::max(batch, 1), 1, steps); }

// Steps are in scan order: step 0 of the reverse direction is the last time.
template <class T> struct LayerTape {
  StepBuffer<T> gates;  // [T,B,S*H]: cells/*.h define the S slots
  StepBuffer<T> h;  // [T+1,B,P]: h before step t is at t; a reset has already happened
  StepBuffer<T> c;  // [T+1,B,H]: c in the same way, LSTM only
  StepBuffer<T> m;  // [T,B,H]: o tanh(c), with proj_size only
  int block;  // steps whose W_ih x is computed at once
  Buffer<RowAt> listed;  // [B,block]: lists of the active rows of a block
  Buffer<char> scratch;  // [B,row_scratch]: scratch memory of the weights' format
  std::ptrdiff_t row_scratch = 0;

  LayerTape(const Spec& spec, int T_, int B, bool keep, Memory& memory = kept_memory())
      : gates(keep ? T_ : block_of(T_, B), B, spec.slots() * spec.hidden_size, memory),
        h(keep ? T_ + 1 : 2, B, spec.recurrent_size(), memory),
        block(block_of(T_, B)),
        listed(elements(B, block), memory) {
    if (spec.has_cell_state()) c = StepBuffer<T>(keep ? T_ + 1 : 1, B, spec.hidden_size, memory);
    if (spec.proj_size) m = StepBuffer<T>(keep ? T_ : 1, B, spec.hidden_size, memory);
  }
};

}  // namespace pyrnn
