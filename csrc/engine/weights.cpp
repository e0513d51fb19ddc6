#include "engine/weights.h"

#include <algorithm>

#include "threads/ieee.h"
#include "checks/require.h"

namespace pyrnn {

template <class T>
Weights<T>::Weights(const Spec& spec, std::vector<const T*> parameters, const Ops<T>& ops, Format format)
    : spec_(spec), ops_(ops), format_(format) {
  for (int layer = 0; layer < spec.num_layers && format == Format::int8; ++layer)
    for (const int inner : {spec.layer_input_size(layer), spec.hidden_size})
      require(inner <= largest_int8_inner, "int8 weights take at most ", largest_int8_inner,
              " inputs or hidden units, more could overflow a sum; got ", inner);
  auto next = parameters.begin();
  for (int layer = 0; layer < spec.num_layers; ++layer)
    for (int direction = 0; direction < spec.directions(); ++direction) {
      Source source{};
      source.ih = *next++;
      source.hh = *next++;
      if (spec.bias) source.bias_ih = *next++, source.bias_hh = *next++;
      if (spec.peephole) source.peephole = *next++;
      if (spec.proj_size) source.hr = *next++;
      source_.push_back(source);
      forward_.push_back(pack_forward(layer, source));
    }
}

template <class T> typename Weights<T>::Forward Weights<T>::pack_forward(int layer, const Source& source) {
  const IeeeMode mode;  // this function adds the biases
  const int H = spec_.hidden_size, P = spec_.recurrent_size(), I = spec_.layer_input_size(layer);
  const int rows = spec_.gates() * H;
  Forward packed;
  const std::ptrdiff_t ih = cell().packed_input(H, I), hh = cell().packed_hidden(H, P);
  packed.ih = Buffer<char>(ih);
  packed.hh = Buffer<char>(hh);
  bytes_ += ih + hh + sizeof(T) * (rows + H + spec_.proj_size * H);
  cell().pack_input(source.ih, H, I, packed.ih.data());
  cell().pack_hidden(source.hh, H, P, packed.hh.data());
  if (spec_.peephole) {
    packed.peephole = Buffer<T>(3 * H);
    std::copy_n(source.peephole, 3 * H, packed.peephole.data());
  }
  if (spec_.proj_size) packed.hr = pack_matrix(ops_, source.hr, spec_.proj_size, H, true);

  // The GRU's candidate has two sums, each with its own bias: the slots n and hn of cells/gru.h.
  int shared = 0;
  for (const HiddenSlots& range : spec_.hidden_slots())
    if (spec_.has_input(range)) shared += range.gates * H;
  packed.bias = Buffer<T>(rows);
  packed.bias_hh = Buffer<T>(H);
  std::fill_n(packed.bias.data(), rows, T(0));
  std::fill_n(packed.bias_hh.data(), H, T(0));
  if (spec_.bias) {
    for (int i = 0; i < rows; ++i) packed.bias.data()[i] = source.bias_ih[i] + (i < shared ? source.bias_hh[i] : T(0));
    if (shared < rows) std::copy_n(source.bias_hh + shared, H, packed.bias_hh.data());
  }
  return packed;
}

template <class T> std::vector<typename Weights<T>::Backward> Weights<T>::pack_backward() const {
  const int rows = spec_.gates() * spec_.hidden_size;
  std::vector<Backward> all;
  for (int l = 0; l < spec_.num_layers; ++l)
    for (int d = 0; d < spec_.directions(); ++d) {
      const Source& source = source_[index(l, d)];
      Backward& packed = all.emplace_back();
      packed.ih = pack_matrix(ops_, source.ih, rows, spec_.layer_input_size(l), false);
      packed.hh = pack_matrix(ops_, source.hh, rows, spec_.recurrent_size(), false);
      if (spec_.proj_size) packed.hr = pack_matrix(ops_, source.hr, spec_.proj_size, spec_.hidden_size, false);
    }
  return all;
}

// The finished list is published by one atomic exchange of a pointer. If memory runs out, nothing is published, and
// the child of a fork sees no list or a complete one; a lock could be held by a thread that the child does not have.
// If several threads come at the same time, all pack, and the first one's list is used.
template <class T> const typename Weights<T>::Backward& Weights<T>::backward(int layer, int direction) const {
  const std::vector<Backward>* all = backward_.load(std::memory_order_acquire);
  if (!all) {
    auto packed = std::make_unique<const std::vector<Backward>>(pack_backward());
    if (backward_.compare_exchange_strong(all, packed.get(), std::memory_order_acq_rel)) all = packed.release();
  }
  return (*all)[index(layer, direction)];
}

template <class T> StepForward<T> Weights<T>::step(int layer, int direction) const noexcept {
  const Forward& packed = forward(layer, direction);
  StepForward<T> s = {};
  s.I = spec_.layer_input_size(layer);
  s.H = spec_.hidden_size;
  s.P = spec_.recurrent_size();
  s.units = {0, s.H};
  s.options = options(layer, direction);
  s.weight_ih = packed.ih.data();
  s.bias = packed.bias.data();
  s.weight_hh = packed.hh.data();
  s.bias_hh = packed.bias_hh.data();
  s.h_prev_stride = s.P;
  s.h_stride = s.H;
  return s;
}

template class Weights<float>;
template class Weights<double>;

}  // namespace pyrnn
