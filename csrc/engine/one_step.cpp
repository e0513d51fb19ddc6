#include "engine/one_step.h"

#include "threads/ieee.h"
#include "engine/layer.h"

namespace pyrnn {

template <class T>
OneStepWorkspace<T>::OneStepWorkspace(const Spec& spec)
    : gates(elements(spec.slots(), spec.hidden_size)), own_sums(spec.hidden_size), zeros(spec.hidden_size) {
  copy_or_zero<T>(nullptr, zeros.data(), spec.hidden_size);
  for (int i = 0; i < std::min(2, spec.num_layers - 1); ++i) between[i] = Buffer<T>(spec.output_size());
}

template <class T> bool has_one_step(const Weights<T>& weights) noexcept {
  const Spec& spec = weights.spec();
  return weights.format() == Format::native && !spec.cell->has_second_product() && !spec.proj_size && !spec.peephole;
}

namespace {

// Computes the sums of one direction of a layer. The GRU candidate's recurrent sum goes to `own_sums`, all others to
// `gates`.
template <class T>
void sum(const Weights<T>& weights, const typename Weights<T>::Source& source, int I, const T* x, const T* h,
         const OneStepWorkspace<T>& workspace) {
  const Spec& spec = weights.spec();
  const int H = spec.hidden_size, G = spec.gates();
  T *const gates = workspace.gates.data(), *const own = workspace.own_sums.data();
  copy_or_zero(source.bias_ih, gates, static_cast<std::size_t>(G) * H);
  const T* bias_hh = source.bias_hh;
  for (const HiddenSlots& range : spec.hidden_slots()) {
    const bool shared = spec.has_input(range);
    if (!shared) copy_or_zero(bias_hh, own, H);
    for (int i = 0; i < range.gates * H && bias_hh && shared; ++i) gates[range.slot * H + i] += bias_hh[i];
    if (bias_hh) bias_hh += range.gates * H;
  }
  const auto matvec = weights.ops().matvec;
  matvec(source.ih, G * H, I, x, gates, gates);
  const T* hh = source.hh;
  for (const HiddenSlots& range : spec.hidden_slots()) {
    T* const sums = spec.has_input(range) ? gates + range.slot * H : own;
    matvec(hh, range.gates * H, H, h, sums, sums);
    hh += static_cast<std::ptrdiff_t>(range.gates) * H * H;
  }
}

}  // namespace

template <class T> void infer_one_step(const Weights<T>& weights, const Call<T>& call,
                                       const OneStepWorkspace<T>& workspace) {
  const IeeeMode mode;
  const Spec& spec = weights.spec();
  const int H = spec.hidden_size, D = spec.directions();
  const T* x = call.x.data;
  for (int layer = 0; layer < spec.num_layers; ++layer) {
    T* const y = layer + 1 == spec.num_layers ? call.y.data : workspace.between[layer % 2].data();
    for (int d = 0; d < D; ++d) {
      const State<const T> before = layer_part(call.initial, spec, layer * D + d, 1);
      const State<T> after = layer_part(call.final, spec, layer * D + d, 1);
      const T* const h = before.h ? before.h : workspace.zeros.data();
      sum(weights, weights.source(layer, d), spec.layer_input_size(layer), x, h, workspace);
      StepForward<T> s = weights.step(layer, d);
      s.B = 1;
      s.P = 0;  // the sums are complete: no product is left
      s.bias_hh = workspace.own_sums.data();
      s.gates = workspace.gates.data();
      s.gates_stride = spec.slots() * H;
      s.h_prev = h;
      s.c_prev = before.c ? before.c : workspace.zeros.data();
      s.h = after.h;
      s.c = after.c;
      s.y = y ? y + d * H : nullptr;
      weights.cell().forward(s);
    }
    x = y;
  }
}

#define PYRNN_INSTANTIATE(T)                              \
  template struct OneStepWorkspace<T>;                    \
  template bool has_one_step(const Weights<T>&) noexcept; \
  template void infer_one_step(const Weights<T>&, const Call<T>&, const OneStepWorkspace<T>&);
PYRNN_INSTANTIATE(float)
PYRNN_INSTANTIATE(double)

}  // namespace pyrnn
