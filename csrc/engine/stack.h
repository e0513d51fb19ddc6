// A whole network, layers x directions with dropout between layers: forward and backward.
//
//   forward   (x, state) -> (y, state)      `record` also fills a Tape, `infer` does not
//   backward  (tape, dy, dstate) -> (dx, dstate, dparameters)
//
// These functions check nothing: the caller has checked the shapes with spec.h.
#pragma once

#include <memory>

#include "engine/sequence.h"

namespace pyrnn {

// The arguments of a call. Sequences are in the order of time; states hold all layers and directions.
template <class T> struct Call {
  int steps, batch;
  Rows<const T> x;  // [T,B,I]
  State<const T> initial;
  std::vector<const T*> mask = {};  // dropout factors [T,B,D*P] of the outputs of layers 0 .. L-2; or empty
  StepOptions<T> options = {};
  Rows<T> y = {};       // [T,B,D*P], out
  Rows<T> c_all = {};   // [T,B,D*H], out: cell states of the last layer; not written if data is null
  State<T> final = {};  // out
};

template <class T> struct Tape {
  int T_ = 0, B = 0;
  int every = 0;                        // 0: `direction` holds every step; else h, c the state every so many
  Rows<const T> x = {};                 // [T,B,I]: input[0]; with checkpoints the caller's, which must stay
  std::vector<StepBuffer<T>> input;     // a layer's input [T,B,I], after dropout
  std::vector<StepBuffer<T>> mask;      // dropout factors of the inputs of layers 1 .. L-1; empty without dropout
  std::vector<LayerTape<T>> direction;  // [L * D]
  std::vector<StepBuffer<T>> h, c;      // [L * D] of [T / every,B,*]: the state before each segment
  StepOptions<T> options;               // its flags point into the caller's arrays, which must stay
};

// The memory for inference on up to `steps` steps of B rows at a time, allocated in advance for callers that must not
// allocate later.
template <class T> struct Workspace {
  std::pmr::vector<LayerTape<T>> direction;  // [L * D]
  StepBuffer<T> between[2];                  // outputs of layers 0 .. L-2, alternately

  Workspace(const Weights<T>& weights, int steps, int B, Memory& memory = kept_memory());
};

template <class T> void infer(const Weights<T>& weights, const Call<T>& call, Workspace<T>& workspace);

// Runs forward and keeps in the tape what backward needs, with a copy of x: the caller may reuse its array. With
// `every` not 0 the tape holds only the state before every so many steps and no copy of x; backward then recomputes
// the steps between.
template <class T> void record(const Weights<T>& weights, const Call<T>& call, int every, Tape<T>& tape);

template <class T> struct Gradients {
  Rows<const T> dy;              // [T,B,D*P]; data null: zero
  Rows<const T> dc_all;          // [T,B,D*H]; data null: zero
  State<const T> dfinal;         // null: zero
  Rows<T> dx;                    // out; not computed if data is null
  State<T> dinitial, dreset;     // out; dreset is not computed if it is null
  std::vector<T*> parameters;    // out, in the order of spec.parameters(); not computed if empty
  std::vector<State<T>> states;  // out, [L*D] of [T,B,P], [T,B,H] in scan order: dLoss/dh_t, dLoss/dc_t; or empty
};

template <class T> void backward(const Weights<T>& weights, const Tape<T>& tape, const Gradients<T>& gradients);

}  // namespace pyrnn
