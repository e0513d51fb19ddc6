// A whole network: layers x directions, dropout between layers; forward and backward.
//
//   forward   (x, state) -> (y, state)      and, if asked, a Tape
//   backward  (tape, dy, dstate) -> (dx, dstate, dparameters)
//
// Nothing is checked here: the caller has checked shapes with spec.h.
#pragma once

#include "runtime/sequence.h"

namespace pyrnn {

// One array of a state for all layers and directions, [L*D,B,width]; null is zero (on the way in).
template <class T> struct State {
  T* h = nullptr;
  T* c = nullptr;  // LSTM only
};

template <class T> struct Call {
  int steps, batch;
  Rows<const T> x;                 // [T,B,I]
  State<const T> initial;
  std::vector<const T*> mask = {};  // dropout's factors [T,B,D*P] on the output of layers 0 .. L-2; or empty
  Rows<T> y = {};                  // [T,B,D*P], out
  State<T> final = {};             // out
};

// With a tape, keeps in it what backward needs (x included: the caller may reuse its array).
template <class T> void forward(const Weights<T>& weights, const Call<T>& call, Tape<T>* tape);

template <class T> struct Gradients {
  Rows<const T> dy;                // [T,B,D*P]; data null: zero
  State<const T> dfinal;           // null: zero
  Rows<T> dx;                      // out
  State<T> dinitial;               // out
  std::vector<T*> parameters;      // out, in the order of spec.parameters()
};

template <class T> void backward(const Weights<T>& weights, const Tape<T>& tape, const Gradients<T>& gradients);

}  // namespace pyrnn
