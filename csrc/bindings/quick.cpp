// _core.quick: a call without a tape as one C function, for policies that act step by step.
//
// For one step of one sequence, getting from Python to the kernels takes longer than the kernels. So this function has
// positional arguments only, reads tensors in place, and leaves every call that is not plain to `Weights.run`.
#include <atomic>

#include "bindings/network.h"
#include "bindings/openmp.h"
#include "bindings/register.h"
#include "engine/one_step.h"

namespace pyrnn {
namespace {

// The object behind the function: the packed weights, and the memory that one step needs. A Python capsule owns it.
struct Quick {
  PyWeights weights;
  bool batch_first, is_step;
  std::variant<std::monostate, OneStepWorkspace<float>, OneStepWorkspace<double>> workspace;
  std::atomic_flag workspace_is_taken = ATOMIC_FLAG_INIT;
};

template <class T> class QuickCall {
 public:
  QuickCall(const Network<T>& network, Quick& quick)
      : network_(network), spec_(network.weights.spec()), quick_(quick) {}

  // Returns (output, final state) of a layer, or the final state of a cell; null if `Weights.run` must handle the
  // call.
  py::object operator()(PyObject* parameters, PyObject* input, PyObject* hx) {
    if (!are_packed(parameters)) return {};
    const std::optional<Tensor> given = Tensor::exchanged(input);
    if (!given || (quick_.is_step && given->ndim() != 2)) return {};
    check_input(spec_, given->shape());
    const Tensor x = readable<T>(*given, "", "");
    const Layout layout(x.shape(), quick_.batch_first, quick_.is_step);
    if (hx != Py_None && !see_state(hx, layout)) return {};
    is_one_step_ = layout.steps == 1 && layout.batch == 1 && has_one_step(network_.weights);
    if (!is_one_step_ && !network_.has_its_numbers()) return {};
    return run(x, layout);
  }

 private:
  bool are_packed(PyObject* parameters) const {
    const std::size_t count = network_.arrays.size();
    if (!PyTuple_Check(parameters) || static_cast<std::size_t>(PyTuple_GET_SIZE(parameters)) != count) return false;
    for (std::size_t i = 0; i < count; ++i) {
      const std::optional<Tensor> now = Tensor::exchanged(PyTuple_GET_ITEM(parameters, i));
      if (!now || !network_.is_at(i, *now)) return false;
    }
    return true;
  }

  bool see_state(PyObject* hx, const Layout& layout) {
    if (!spec_.has_cell_state()) return see_part(hx, layout.state(spec_, spec_.recurrent_size()), initial_[0]);
    if (!(PyTuple_CheckExact(hx) || PyList_CheckExact(hx)) || PySequence_Fast_GET_SIZE(hx) != 2) return false;
    return see_part(PySequence_Fast_GET_ITEM(hx, 0), layout.state(spec_, spec_.recurrent_size()), initial_[0]) &&
           see_part(PySequence_Fast_GET_ITEM(hx, 1), layout.state(spec_, spec_.hidden_size), initial_[1]);
  }
  bool see_part(PyObject* given, const Shape& expected, Tensor& part) {
    const std::optional<Tensor> found = Tensor::exchanged(given);
    if (!found || found->shape() != expected) return false;
    part = contiguous<T>(*found, "", "");
    return true;
  }

  py::object run(const Tensor& x, const Layout& layout) {
    const Tensor& like = network_.arrays[0];
    // A cell has no output besides its new h.
    const Array y = quick_.is_step ? Array() : Tensor::empty<T>(layout.sequence(spec_.output_size()), like);
    const std::vector<Array> final = new_state<T>(spec_, layout, like);
    Call<T> call{layout.steps, layout.batch, layout.rows<T>(x), {data_of<T>(initial_[0]), data_of<T>(initial_[1])}};
    if (y) call.y = layout.rows(*y, writable<T>(*y));
    call.final = outputs<T>(final);
    compute(call, like);
    py::object state = final[0]->object();
    if (spec_.has_cell_state()) state = py::make_tuple(state, final[1]->object());
    return y ? py::make_tuple(y->object(), state) : state;
  }

  void compute(const Call<T>& call, const Tensor& like) {
    const CallThreads threads(like);
    const py::gil_scoped_release release;
    if (is_one_step_) return compute_one_step(call);
    Workspace<T> workspace(network_.weights, call.steps, call.batch);
    infer(network_.weights, call, workspace);
  }

  // Uses the workspace of the previous call, or a new one while another thread uses that.
  void compute_one_step(const Call<T>& call) {
    if (quick_.workspace_is_taken.test_and_set(std::memory_order_acquire))
      return infer_one_step(network_.weights, call, OneStepWorkspace<T>(spec_));
    struct GivenBack {
      Quick& quick;
      ~GivenBack() { quick.workspace_is_taken.clear(std::memory_order_release); }
    } const given_back{quick_};
    auto* workspace = std::get_if<OneStepWorkspace<T>>(&quick_.workspace);
    if (!workspace) workspace = &quick_.workspace.template emplace<OneStepWorkspace<T>>(spec_);
    infer_one_step(network_.weights, call, *workspace);
  }

  const Network<T>& network_;
  const Spec& spec_;
  Quick& quick_;
  Tensor initial_[2];
  bool is_one_step_ = false;
};

constexpr const char* capsule_name = "pyrnn.Quick";

// Returns None without an error for every call that `Weights.run` must handle, those that are errors included.
PyObject* call_quick(PyObject* self, PyObject* const* arguments, Py_ssize_t count) noexcept {
  try {
    Quick& quick = *static_cast<Quick*>(PyCapsule_GetPointer(self, capsule_name));
    if (count == 3) {
      py::object found = std::visit(
          [&](const auto& network) { return QuickCall(*network, quick)(arguments[0], arguments[1], arguments[2]); },
          quick.weights.network);
      if (found) return found.release().ptr();
    }
  } catch (const std::exception&) {}  // error_already_set too: catching it has cleared Python's error
  Py_RETURN_NONE;
}

py::object quick(const PyWeights& weights, bool batch_first, bool is_step) {
  static PyMethodDef definition = {"quick", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&call_quick)),
                                   METH_FASTCALL, nullptr};
  const py::capsule held(new Quick{weights, batch_first, is_step}, capsule_name,
                         [](void* p) { delete static_cast<Quick*>(p); });
  return py::reinterpret_steal<py::object>(PyCFunction_New(&definition, held.ptr()));
}

}  // namespace

void register_quick(py::module_& m) {
  using namespace py::literals;
  m.def("quick", &quick, "weights"_a, "batch_first"_a, "is_step"_a,
        "A function of (parameters, x, hx): (output, hx) of a layer or hx of a cell, without a tape, if these are the "
        "parameters that were packed, with the numbers they had; None where `Weights.run` must handle the call.");
}

}  // namespace pyrnn
