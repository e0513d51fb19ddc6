// The machine's limits, which the benchmarks measure with the kernels' own vectors and memory.
#include <algorithm>
#include <chrono>

#include "bindings/arrays.h"
#include "bindings/register.h"
#include "isa/select.h"
#include "memory/buffer.h"
#include "threads/ieee.h"

namespace pyrnn {
namespace {

// Returns the highest rate of `work(rounds)`, in its units per second. It runs slices of a millisecond, or of one
// round if that takes longer, for `seconds`, and takes the best slice: other programs interrupt the others.
template <class Work> double best_rate(double seconds, Work work) {
  const auto now = [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()); };
  const double end = now().count() + seconds;
  double best = 0;
  for (std::ptrdiff_t rounds = 1;;) {
    const double start = now().count(), done = work(rounds), stop = now().count();
    if (stop - start >= 0.0005) best = std::max(best, done / (stop - start));
    else rounds *= 2;
    if (stop >= end && best > 0) return best;
  }
}

double fma_gflops(double seconds) {
  const py::gil_scoped_release release;
  const IeeeMode mode;
  float sink;
  return best_rate(seconds, [&](std::ptrdiff_t rounds) { return isa().f32.multiply_adds(rounds, sink); }) / 1e9;
}

double read_gbytes(std::ptrdiff_t bytes, double seconds) {
  require(bytes >= 4096, "read_gbytes: expected at least 4096 bytes, got ", bytes);
  const py::gil_scoped_release release;
  const std::ptrdiff_t n = bytes / static_cast<std::ptrdiff_t>(sizeof(float));
  const Buffer<float> x(static_cast<std::size_t>(n));
  std::fill_n(x.data(), n, 1.0f);  // pages that were never written would all be the same page of zeros
  const IeeeMode mode;
  float sink;
  return best_rate(seconds, [&](std::ptrdiff_t rounds) { return isa().f32.read_through(x.data(), n, rounds, sink); }) /
         1e9;
}

}  // namespace

void register_probe(py::module_& m) {
  using namespace py::literals;
  m.def("fma_gflops", &fma_gflops, "seconds"_a = 0.05,
        "The most float32 operations a second of one core, in 10^9: multiply-adds out of registers.");
  m.def("read_gbytes", &read_gbytes, "bytes"_a, "seconds"_a = 0.05,
        "The most bytes a second that one core reads, in 10^9, from an array of so many read over and over.");
}

}  // namespace pyrnn
