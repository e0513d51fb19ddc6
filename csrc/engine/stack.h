// A whole network: layers x directions, dropout between layers; forward and backward.
//
//   forward   (x, state) -> (y, state)      and, if asked, a Tape
//   backward  (tape, dy, dstate) -> (dx, dstate, dparameters)
//
// Nothing is checked here: the caller has checked shapes with spec.h.
#pragma once

#include <memory>

#include "engine/sequence.h"

namespace pyrnn {

// Sequences in the order of time; states for all layers and directions.
template <class T> struct Call {
  int steps, batch;
  Rows<const T> x;  // [T,B,I]
  State<const T> initial;
  std::vector<const T*> mask = {};  // dropout's factors [T,B,D*P] on the output of layers 0 .. L-2; or empty
  StepOptions<T> options = {};
  Rows<T> y = {};       // [T,B,D*P], out
  Rows<T> c_all = {};   // [T,B,D*H], out: cell states of the last layer; data null: not wanted
  State<T> final = {};  // out
};

template <class T> struct Tape {
  int T_ = 0, B = 0;
  int every = 0;                        // checkpoints: `direction` holds every step, or states every so many
  Rows<const T> x = {};                 // [T,B,I]: a copy in input[0]; with checkpoints the caller's, who keeps it
  std::vector<StepBuffer<T>> input;     // a layer's input [T,B,I], after dropout
  std::vector<StepBuffer<T>> mask;      // dropout's factors on the input of layer 1 .. L-1; empty without dropout
  std::vector<LayerTape<T>> direction;  // [L * D]
  std::vector<StepBuffer<T>> h, c;      // [L * D] of [T / every,B,*]: the state before each segment
  StepOptions<T> options;               // flags point into the caller's arrays, which must stay
};

// Room for inference on up to `steps` steps of B rows at a time; for those who may not allocate later.
template <class T> struct Workspace {
  std::pmr::vector<LayerTape<T>> direction;  // [L * D]
  StepBuffer<T> between[2];                  // outputs of layers 0 .. L-2, in turn

  Workspace(const Weights<T>& weights, int steps, int B, Memory& memory = kept_memory());
};

template <class T> void infer(const Weights<T>& weights, const Call<T>& call, Workspace<T>& room);

// Keeps in the tape what backward needs (x included: the caller may reuse its array). With every > 0, only the state
// before every so many steps, and no copy of x: backward computes the steps between again.
template <class T> void record(const Weights<T>& weights, const Call<T>& call, int every, Tape<T>& tape);

template <class T> struct Gradients {
  Rows<const T> dy;              // [T,B,D*P]; data null: zero
  Rows<const T> dc_all;          // [T,B,D*H]; data null: zero
  State<const T> dfinal;         // null: zero
  Rows<T> dx;                    // out; data null: not wanted
  State<T> dinitial, dreset;     // out; dreset null: not wanted
  std::vector<T*> parameters;    // out, in the order of spec.parameters(); or empty: not wanted
  std::vector<State<T>> states;  // out [L*D] of [T,B,P], [T,B,H] in scan order: dLoss/dh_t, dLoss/dc_t; or empty
};

template <class T> void backward(const Weights<T>& weights, const Tape<T>& tape, const Gradients<T>& gradients);

}  // namespace pyrnn
