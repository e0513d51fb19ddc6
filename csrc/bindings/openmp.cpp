#include "bindings/openmp.h"

#include <dlfcn.h>

#include <algorithm>
#include <utility>

#include "bindings/register.h"

namespace pyrnn {
namespace {

// LLVM's and Intel's libraries require a description of the place in the program that calls them.
struct Place {
  int reserved_1, flags, reserved_2, reserved_3;
  const char* source;
};
constexpr int made_by_a_compiler = 2;
Place place = {0, made_by_a_compiler, 0, 0, ";pyrnn;pyrnn;0;0;;"};

// The functions that compilers call for `#pragma omp parallel`: those of GNU's library, or those of LLVM's and
// Intel's.
struct OpenMp {
  int (*thread)() = nullptr;
  int (*threads)() = nullptr;
  void (*gomp_parallel)(void (*body)(void*), void* data, unsigned threads, unsigned flags) = nullptr;
  int (*kmpc_thread)(Place*) = nullptr;
  void (*kmpc_push_num_threads)(Place*, int thread, int threads) = nullptr;
  void (*kmpc_fork_call)(Place*, int count, void (*body)(int*, int*, void*), ...) = nullptr;

  bool has_kmpc() const noexcept { return kmpc_thread && kmpc_push_num_threads && kmpc_fork_call; }
  bool is_complete() const noexcept { return thread && threads && (gomp_parallel || has_kmpc()); }
};
OpenMp omp;  // set when pyrnn.torch is imported, before any call

OpenMp functions_of(void* library) noexcept {
  OpenMp found;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
  };
  find(found.thread, "omp_get_thread_num");
  find(found.threads, "omp_get_num_threads");
  find(found.gomp_parallel, "GOMP_parallel");
  find(found.kmpc_thread, "__kmpc_global_thread_num");
  find(found.kmpc_push_num_threads, "__kmpc_push_num_threads");
  find(found.kmpc_fork_call, "__kmpc_fork_call");
  return found;
}

struct Region {
  int threads;
  Task<int, int> f;
};

void work(void* data) {
  const auto& [threads, f] = *static_cast<const Region*>(data);
  const int member = omp.thread(), members = std::min(threads, omp.threads());
  if (member < members) f(member, members);
}

void run_in_team(int size, int threads, Task<int, int> f) {
  Region region{threads, f};
  if (!omp.has_kmpc()) return omp.gomp_parallel(&work, &region, size, 0);
  omp.kmpc_push_num_threads(&place, omp.kmpc_thread(&place), size);
  omp.kmpc_fork_call(&place, 1, [](int*, int*, void* shared) { work(shared); }, static_cast<void*>(&region));
}

PyObject* count_of_host = nullptr;  // never released: the interpreter may end before this

// Searches a loaded library and those that it depends on for OpenMP; returns whether it was found. An empty name finds
// nothing: dlopen would take "" for the whole program, and so find torch's.
bool follow_host(const std::string& library, const py::object& count) {
  Py_XDECREF(std::exchange(count_of_host, py::object(count).release().ptr()));
  if (library.empty()) return false;
  void* const loaded = dlopen(library.c_str(), RTLD_LAZY | RTLD_NOLOAD);  // never closed: it stays loaded
  if (!loaded) return false;
  const OpenMp found = functions_of(loaded);
  if (!found.is_complete()) return false;
  omp = found;
  set_host_team(&run_in_team);
  return true;
}

}  // namespace

int host_thread_count() {
  if (!count_of_host) return 0;
  const auto count = py::reinterpret_steal<py::object>(PyObject_CallNoArgs(count_of_host));
  const long n = count ? PyLong_AsLong(count.ptr()) : -1;
  if (PyErr_Occurred()) throw py::error_already_set();
  return static_cast<int>(std::clamp(n, 1l, 256l));
}

void register_openmp(py::module_& m) {
  using namespace py::literals;
  m.def("follow_host", &follow_host, "library"_a, "count"_a,
        "Calls on tensors that are not NumPy's run on count() threads: OpenMP's, if a loaded library of that name has "
        "such, otherwise this library's. Returns whether it has.");
}

}  // namespace pyrnn
