// Gradients of the parameters of one direction of a layer. They are sums over all rows of da, the gradients of the
// pre-activation sums.
#pragma once

#include <functional>
#include <vector>

#include "threads/parallel.h"
#include "engine/tape.h"

namespace pyrnn {

using Tasks = std::vector<std::function<void()>>;
template <class T> using Right = typename Outer<T>::Right;

// Adds the task of one product. An output with few columns would leave most lanes idle: it becomes a product of its
// own, transposed.
template <class T> void add_matrix(Tasks& tasks, const Ops<T>& ops, Outer<T> all) {
  const auto add = [&](const Outer<T>& outer) {
    tasks.push_back([o = outer, &ops]() mutable {
      const Buffer<T> scratch(ops.outer_scratch(o.right[0].N + o.right[1].N));
      o.scratch = scratch.data();
      ops.outer(o);
    });
  };
  for (Right<T>& each : all.right) {
    if (each.N == 0 || 2 * each.N >= ops.lanes || each.N >= all.M) continue;
    add({.M = each.N,
         .K = all.K,
         .a = each.b,
         .right = {{all.M, all.a, each.c, each.c_column, each.c_row}},
         .accumulate = all.accumulate,
         .scratch = nullptr});
    each.N = 0;
  }
  if (all.right[0].N || all.right[1].N) add(all);
}

// Adds the tasks of a product that the threads share by rows of c.
template <class T> void add_matrices(Tasks& tasks, const Ops<T>& ops, const Outer<T>& all) {
  const double work = static_cast<double>(all.K) * all.M * (all.right[0].N + all.right[1].N);
  const int pieces = std::min(threads_for(work), all.M);
  for (int piece = 0; piece < pieces; ++piece) {
    const int from = cut(all.M, piece, pieces);
    Outer<T> part = all;
    part.M = cut(all.M, piece + 1, pieces) - from;
    part.a.data += from;
    for (Right<T>& each : part.right) each.c += from * each.c_row;
    add_matrix(tasks, ops, part);
  }
}

// db_ih sums the first G slots of da. db_hh equals it, except for the GRU candidate, whose recurrent sum has a slot of
// its own.
template <class T>
void sum_biases(const Ops<T>& ops, const Spec& spec, Rows<const T> da, int M, T* dbias_ih, T* dbias_hh, T* lost,
                bool resume) {
  const int H = spec.hidden_size, G = spec.gates();
  ops.column_sums(da, M, G * H, resume, dbias_ih, lost);
  for (const HiddenSlots& range : spec.hidden_slots()) {
    const auto& [slot, gates, input] = range;
    if (spec.has_input(range)) {
      std::copy_n(dbias_ih + slot * H, gates * H, dbias_hh);
    } else {
      Rows<const T> own = da;
      own.data += static_cast<std::ptrdiff_t>(slot) * H;
      ops.column_sums(own, M, gates * H, resume, dbias_hh, lost + static_cast<std::ptrdiff_t>(G) * H);
    }
    dbias_hh += gates * H;
  }
}

}  // namespace pyrnn
