// _core.Stream: the state of running sequences.
#include "runtime/stream.h"

#include <pybind11/stl.h>

#include "bindings/network.h"
#include "bindings/register.h"

namespace pyrnn {
namespace {

template <class T> struct Running {
  Shared<T> network;
  Stream<T> stream;
  Running(Shared<T> shared, int batch) : network(std::move(shared)), stream(network->weights, batch) {}

  const Spec& spec() const { return network->weights.spec(); }

  // x [B,I] or [T,B,I]; out as the output, or none: made anew.
  py::array run(const py::array& given, const Array& out, const Array& active, bool hold) {
    const int steps_axis = given.ndim() - 2, B = stream.batch();
    require(steps_axis == 0 || steps_axis == 1, "stream: expected input of 2 (step) or 3 (run) dimensions, got ",
            given.ndim());
    const std::ptrdiff_t steps = steps_axis ? given.shape(0) : 1;
    if (given.shape(steps_axis) != B || given.shape(steps_axis + 1) != spec().input_size)
      fail("stream: expected input of shape ", steps_axis ? "(*, " : "(", B, ", ", spec().input_size, "), got ",
           text(shape_of(given), "()"));
    check_extent(std::max<std::ptrdiff_t>(steps, 1), B);
    const py::array x = readable<T>(given, spec().name(), "input");
    Shape shape = shape_of(given);
    shape.back() = spec().output_size();
    py::array y = out ? checked_out(*out, shape) : py::array(py::array_t<T>(shape));
    const std::ptrdiff_t size = sizeof(T);
    const auto rows = [&](const py::array& a, auto* data) {
      return Rows<std::remove_pointer_t<decltype(data)>>{data, steps_axis ? a.strides(0) / size : 0,
                                                         a.strides(steps_axis) / size, std::max(B, 1)};
    };
    stream.run(rows(x, static_cast<const T*>(x.data())), static_cast<int>(steps), rows(y, writable<T>(y)),
               flags(active, steps_axis, steps), hold);
    return y;
  }

  Flags flags(const Array& active, int steps_axis, std::ptrdiff_t steps) const {
    if (!active) return {};
    const Shape expected = steps_axis ? Shape{steps, stream.batch()} : Shape{stream.batch()};
    if (active->dtype().kind() != 'b' || shape_of(*active) != expected)
      fail("active should be an array of bool of shape ", text(expected, "()"), ", got ", dtype_name(active->dtype()),
           " of shape ", text(shape_of(*active), "()"));
    return {static_cast<const unsigned char*>(active->data()), steps_axis ? active->strides(0) : 0,
            active->strides(steps_axis), std::max(stream.batch(), 1)};
  }

  py::array checked_out(const py::array& out, const Shape& shape) const {
    if (!py::isinstance<py::array_t<T, py::array::c_style>>(out) || shape_of(out) != shape || !out.writeable())
      fail("out should be a writable, contiguous array of ", dtype_name(py::dtype::of<T>()), " of shape ",
           text(shape, "()"), ", got ", dtype_name(out.dtype()), " of shape ", text(shape_of(out), "()"));
    return out;
  }

  std::vector<Array> state() const {
    const std::ptrdiff_t L = spec().num_layers, B = stream.batch();
    const State<T> now = stream.state();
    std::vector<Array> all = {py::array_t<T>(Shape{L, B, spec().recurrent_size()}, now.h)};
    if (now.c) all.emplace_back(py::array_t<T>(Shape{L, B, spec().hidden_size}, now.c));
    return all;
  }

  void set_state(const std::vector<Array>& given) {
    std::vector<Shape> shapes;
    require(given.size() == (stream.state().c ? 2u : 1u), "state should hold h, or h and c for the LSTM");
    for (const Array& a : given) {
      require(a.has_value(), "state should be made of NumPy arrays, got None in it");
      shapes.push_back(shape_of(*a));
    }
    check_state(spec(), shapes, true, stream.batch());
    const State<T> now = stream.state();
    std::vector<py::array> arrays;
    for (const Array& a : given) arrays.push_back(contiguous<T>(*a, spec().name(), "state"));
    for (std::size_t i = 0; i < arrays.size(); ++i)
      std::copy_n(static_cast<const T*>(arrays[i].data()), arrays[i].size(), i ? now.c : now.h);
  }

  void reset(const Array& mask) {
    if (!mask) return stream.reset(nullptr);
    const py::array contiguous_mask = py::array_t<bool, py::array::c_style>(*mask);
    flags(mask, 0, 1);  // checks
    stream.reset(static_cast<const unsigned char*>(contiguous_mask.data()));
  }
};

// Calls keep the GIL: a step is short, and two threads must not share one.
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
      .def(py::init(&make_stream), "weights"_a, "batch"_a)
      .def(
          "run",
          [](PyStream& self, const py::array& x, const Array& out, const Array& active, bool hold) {
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
          "mask"_a = py::none());
}

}  // namespace pyrnn
