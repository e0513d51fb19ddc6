// _core.Stream: a stream (csrc/README.md) for Python.
#include "engine/stream.h"

#include <pybind11/stl.h>

#include <chrono>

#include "bindings/network.h"
#include "bindings/openmp.h"
#include "bindings/register.h"

namespace pyrnn {
namespace {

template <class T> struct Running {
  Shared<T> network;
  Stream<T> stream;
  Running(Shared<T> shared, int batch) : network(std::move(shared)), stream(network->weights, batch) {}

  const Spec& spec() const { return network->weights.spec(); }

  // `given` is [B,I] or [T,B,I]. The output goes to `out`, or, if that is None, to a new array.
  Tensor run(const Tensor& given, const Array& out, Array active, bool hold) {
    const int steps_axis = given.ndim() - 2, B = stream.batch();
    require(steps_axis == 0 || steps_axis == 1, "stream: expected input of 2 (step) or 3 (run) dimensions, got ",
            given.ndim());
    const std::ptrdiff_t steps = steps_axis ? given.shape(0) : 1;
    if (given.shape(steps_axis) != B || given.shape(steps_axis + 1) != spec().input_size)
      fail("stream: expected input of shape ", steps_axis ? "(*, " : "(", B, ", ", spec().input_size, "), got ",
           text(given.shape(), "()"));
    check_extent(std::max<std::ptrdiff_t>(steps, 1), B);
    Tensor x = readable<T>(given, spec().name(), "input");
    Shape shape = given.shape();
    shape.back() = spec().output_size();
    const Tensor y = out ? checked_out(*out, shape) : Tensor::empty<T>(shape, network->arrays[0]);
    // A layer writes outputs before it has read all inputs, so overlapping inputs are copied.
    if (out && overlap(x, y)) x = x.copy();
    if (out && active && overlap(*active, y)) active = active->copy();
    const std::ptrdiff_t size = sizeof(T);
    const auto rows = [&](const Tensor& a, auto* data) {
      return Rows<std::remove_pointer_t<decltype(data)>>{data, steps_axis ? a.stride(0) / size : 0,
                                                         a.stride(steps_axis) / size, std::max(B, 1)};
    };
    const CallThreads threads(y);
    stream.run(rows(x, data_of<T>(x)), static_cast<int>(steps), rows(y, writable<T>(y)),
               flags(active, steps_axis, steps), hold);
    return y;
  }

  // For benchmarks: returns the seconds that `steps` single steps take without Python in between. They go through x
  // [N,B,I] again and again and overwrite out [B,P].
  double seconds_of(const Tensor& given, const Tensor& out, std::ptrdiff_t steps) {
    const int B = stream.batch();
    if (given.ndim() != 3 || given.shape(0) < 1 || given.shape(1) != B || given.shape(2) != spec().input_size)
      fail("stream: expected inputs of shape (*, ", B, ", ", spec().input_size, "), got ", text(given.shape(), "()"));
    const Tensor x = contiguous<T>(given, spec().name(), "input"), y = checked_out(out, {B, spec().output_size()});
    const int rows = std::max(B, 1), I = spec().input_size, P = spec().output_size();
    const T* const end = data_of<T>(x) + x.size();
    const T* at = data_of<T>(x);
    const auto start = std::chrono::steady_clock::now();
    for (std::ptrdiff_t step = 0; step < steps; ++step) {
      stream.run({at, 0, I, rows}, 1, {writable<T>(y), 0, P, rows}, {}, false);
      at += static_cast<std::ptrdiff_t>(B) * I;
      if (at == end) at = data_of<T>(x);
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  Flags flags(const Array& active, int steps_axis, std::ptrdiff_t steps) const {
    if (!active) return {};
    const Shape expected = steps_axis ? Shape{steps, stream.batch()} : Shape{stream.batch()};
    if (active->kind() != 'b' || active->shape() != expected)
      fail("active should be an array of bool of shape ", text(expected, "()"), ", got ", active->dtype(),
           " of shape ", text(active->shape(), "()"));
    return {data_of<unsigned char>(*active), steps_axis ? active->stride(0) : 0, active->stride(steps_axis),
            std::max(stream.batch(), 1)};
  }

  Tensor checked_out(const Tensor& out, const Shape& shape) const {
    const bool fits = out.kind() == 'f' && out.itemsize() == sizeof(T) && out.is_native() && out.shape() == shape;
    const char* const unfit = !out.is_writable()           ? ", read-only"
                              : !out.is_contiguous()       ? ", not contiguous"
                              : !out.is_aligned(sizeof(T)) ? ", at an address that is no multiple of an element"
                                                           : "";
    if (!fits || *unfit)
      fail("out should be a writable, contiguous array of ", std::string(py::str(py::dtype::of<T>())), " of shape ",
           text(shape, "()"), ", got ", out.dtype(), " of shape ", text(out.shape(), "()"), unfit);
    return out;
  }

  std::vector<Array> state() const {
    const std::ptrdiff_t L = spec().num_layers, B = stream.batch();
    const State<T> now = stream.state();
    const auto copied = [&](const T* from, int width) {
      const Tensor to = Tensor::empty<T>({L, B, width}, network->arrays[0]);
      std::copy_n(from, to.size(), writable<T>(to));
      return to;
    };
    std::vector<Array> all = {copied(now.h, spec().recurrent_size())};
    if (now.c) all.emplace_back(copied(now.c, spec().hidden_size));
    return all;
  }

  void set_state(const std::vector<Array>& given) {
    std::vector<Shape> shapes;
    require(given.size() == (stream.state().c ? 2u : 1u), "state should hold h, or h and c for the LSTM");
    for (const Array& a : given) {
      require(a.has_value(), "state should be made of arrays, got None in it");
      shapes.push_back(a->shape());
    }
    check_state(spec(), shapes, true, stream.batch());
    const State<T> now = stream.state();
    std::vector<Tensor> arrays;
    for (const Array& a : given) arrays.push_back(contiguous<T>(*a, spec().name(), "state"));
    for (std::size_t i = 0; i < arrays.size(); ++i)
      std::copy_n(data_of<T>(arrays[i]), arrays[i].size(), i ? now.c : now.h);
  }

  void reset(const Array& mask) {
    if (!mask) return stream.reset(nullptr);
    flags(mask, 0, 1);  // throws if the mask does not fit
    stream.reset(data_of<unsigned char>(mask->contiguous<bool>()));
  }
};

// The calls keep the GIL: a step is short, and two threads must not use one stream at once.
struct PyStream {
  std::variant<std::unique_ptr<Running<float>>, std::unique_ptr<Running<double>>> running;
};

PyStream make_stream(const PyWeights& weights, int batch) {
  require(batch >= 0, "stream: batch should be at least 0, got ", batch);
  return std::visit(
      [&](const auto& network) -> PyStream {
        const Spec& spec = network->weights.spec();
        require(!spec.bidirectional, "a bidirectional ", spec.name(),
                " cannot stream: its reverse direction starts at the end of the sequence");
        using T = std::remove_cvref_t<decltype(*network->weights.forward(0, 0).bias.data())>;
        return {std::make_unique<Running<T>>(network, batch)};
      },
      weights.network);
}

}  // namespace

void register_stream(py::module_& m) {
  using namespace py::literals;
  py::class_<PyStream>(m, "Stream", "The state of `batch` running sequences, and all memory a step needs.")
      .def_static("make", &make_stream, "weights"_a, "batch"_a)
      .def(
          "run",
          [](PyStream& self, const Tensor& x, const Array& out, const Array& active, bool hold) {
            return std::visit([&](const auto& r) { return r->run(x, out, active, hold); }, self.running);
          },
          "x"_a, "out"_a = py::none(), "active"_a = py::none(), "hold"_a = false)
      .def("state",
           [](const PyStream& self) { return std::visit([](const auto& r) { return r->state(); }, self.running); })
      .def(
          "set_state",
          [](PyStream& self, const std::vector<Array>& state) {
            std::visit([&](const auto& r) { r->set_state(state); }, self.running);
          },
          "state"_a)
      .def(
          "reset",
          [](PyStream& self, const Array& mask) { std::visit([&](const auto& r) { r->reset(mask); }, self.running); },
          "mask"_a = py::none())
      .def(
          "seconds_of",
          [](PyStream& self, const Tensor& x, const Tensor& out, std::ptrdiff_t steps) {
            return std::visit([&](const auto& r) { return r->seconds_of(x, out, steps); }, self.running);
          },
          "x"_a, "out"_a, "steps"_a);
}

}  // namespace pyrnn
