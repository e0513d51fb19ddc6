// Prints one hash per case of what the core computes, on every ISA that this machine has: a test of the bit contract.
//
//   hashes [isa...]     only these ISAs, if any are named
//
// It prints a line "isa hash case" for each and fails where two ISAs differ. All but the first word is the same for
// every compiler, CPU and PYRNN_THREADS, so .ci/run can compare the output of builds as text.
#include <bit>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <map>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "isa/select.h"
#include "engine/linear.h"
#include "engine/one_step.h"
#include "engine/stack.h"

namespace pyrnn {
namespace {

template <class T> using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
template <class T> constexpr const char* type_name = sizeof(T) == 4 ? "f32" : "f64";

// xorshift64*, Vigna 2016.
class Random {
 public:
  // Uniform in [-2^exponent, 2^exponent) and exact in T: an integer of as many bits as the significand, times a power
  // of two.
  template <class T> std::vector<T> values(std::size_t n, int exponent) {
    constexpr int digits = std::numeric_limits<T>::digits;
    const T unit = std::bit_cast<T>(static_cast<Bits<T>>(std::numeric_limits<T>::max_exponent + exponent - digits)
                                    << (digits - 1));
    std::vector<T> all(n);
    for (T& each : all) each = static_cast<T>(static_cast<std::int64_t>(next()) >> (64 - digits)) * unit;
    return all;
  }

 private:
  std::uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545F4914F6CDD1Du;
  }
  std::uint64_t state_ = 88172645463325252u;
};

// FNV-1a over the bytes, the lowest first. All NaN have the same hash, because their sign and payload depend on the
// CPU.
class Hash {
 public:
  template <class T> void add(const std::vector<T>& values) {
    for (T value : values) {
      const Bits<T> bits = std::bit_cast<Bits<T>>(value != value ? std::numeric_limits<T>::quiet_NaN() : value);
      for (std::size_t byte = 0; byte < sizeof(T); ++byte)
        value_ = (value_ ^ (bits >> (8 * byte) & 0xff)) * 0x100000001b3u;
    }
  }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325u;
};

// Inputs below 1; below 64, which saturate gates; or around the limit below which a state is set to zero.
enum class Scale { one, large, tiny };

template <class T> constexpr int exponent(Scale scale) {
  return scale == Scale::one ? 0 : scale == Scale::large ? 6 : sizeof(T) == 4 ? -97 : -897;
}

struct Case {
  Spec spec;
  int steps, batch;
  Scale scale = Scale::one;
  int callers = 1;     // threads that use one Weights at once
  bool flags = false;  // some rows are inactive at some steps, and some are reset
  int checkpoint = 0;  // steps between two checkpoints; 0: a full tape
  Format format = Format::native;

  std::string name() const {
    constexpr const char* scales[] = {"", " large", " tiny"};
    constexpr const char* formats[] = {"", " bf16", " int8"};
    const auto part = [](const char* letter, int n) { return std::string(" ") + letter + std::to_string(n); };
    return spec.cell->name + part("T", steps) + part("B", batch) + part("I", spec.input_size) +
           part("H", spec.hidden_size) + part("P", spec.proj_size) + part("L", spec.num_layers) +
           part("D", spec.directions()) + (spec.bias ? " bias" : " no-bias") + scales[static_cast<int>(scale)] +
           (flags ? " flags" : "") + formats[static_cast<int>(format)] +
           (checkpoint ? part("checkpoint", checkpoint) : "") +
           (spec.is_standard() ? "" : part("chosen", static_cast<int>(spec.activation)));
  }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const CellFacts& facts : cells()) {
    const CellFacts* const cell = &facts;
    const bool lstm = cell->peephole;
    all.push_back({{cell, 1, 1}, 1, 1});
    all.push_back({{cell, 13, 33, 1, true, true}, 1, 1});
    all.push_back({{cell, 41, 70, 1, false, false}, 1, 1});
    all.push_back({{cell, 40, 70}, 20, 1});
    all.push_back({{cell, 3, 17, 1, true, true}, 3, 97});      // more rows than a block of the product
    all.push_back({{cell, 600, 140, 1, false, false}, 3, 2});  // more terms than a block of the product
    const int enough = cell->gates.count() == 1 ? 160 : 48;  // steps worth two threads
    all.push_back({{cell, 16, 240}, enough, 1});  // units shared by a team
    all.push_back({{cell, 16, 240}, enough / 2, 2, Scale::one, 1, false, 20});
    all.push_back({{cell, 40, 70, 2}, enough, 3});  // a wavefront of layers
    all.push_back({{cell, 13, 33, 3, true, true}, 9, 9, Scale::one, 4});
    all.push_back({{cell, 64, 96, 2, true, true}, 16, 32});  // several threads share the rows
    all.push_back({{cell, 160, 200, 1, true, true}, 1, 140});  // one step, whose rows two threads share
    all.push_back({{cell, 160, 200, 1, false, true}, 1, 280, Scale::one, 1, true});
    all.push_back({{cell, 3, 20, 2, true, true}, 26, 90});  // more rows than a block of the weights' gradients
    all.push_back({{cell, 20, 9, 2, false, true}, 45, 50, Scale::one, 1, true});
    all.push_back({{cell, 5, 9, 1, false, true}, 6, 5, Scale::large});
    all.push_back({{cell, 5, 9, 1, false, false}, 6, 5, Scale::tiny});
    all.push_back({{cell, 13, 33, 2, true, true}, 9, 9, Scale::one, 1, true});
    all.push_back({{cell, 13, 33, 2, false, true}, 9, 9, Scale::one, 1, true, 4});
    all.push_back({{cell, 64, 96, 1, true, true}, 16, 32, Scale::one, 1, true, 5});
    for (const Activation f : {Activation::relu, Activation::identity, Activation::hard_sigmoid_keras2})
      all.push_back({{cell, 5, 9, 1, false, true, 0, f, Activation::hard_sigmoid_keras3, lstm}, 6, 5});
    for (const Format format : {Format::bf16, Format::int8})
      for (const int batch : {1, 5, 32}) {
        all.push_back({{cell, 13, 33, 2, true, true}, 9, batch, Scale::one, 2, true});
        all.back().format = format;
      }
    if (lstm) all.push_back({{cell, 5, 9, 2, true, true, 4}, 6, 5});
    if (lstm) all.push_back({{cell, 40, 70, 1, false, false, 33}, 20, 16});
  }
  return all;
}

template <class T> struct Data {
  std::vector<T> x, h0, c0, dy, dh, dc;
  std::vector<std::vector<T>> parameters, masks;
  std::vector<unsigned char> active, reset;  // [T,B]
};

template <class T> Data<T> make_data(const Case& c) {
  Random random;
  const Spec& spec = c.spec;
  const std::size_t rows = static_cast<std::size_t>(c.steps) * c.batch;
  const std::size_t states = static_cast<std::size_t>(spec.num_layers) * spec.directions() * c.batch;
  const std::size_t P = spec.recurrent_size(), H = spec.hidden_size, out = spec.output_size();
  const int inputs = exponent<T>(c.scale), scale = inputs < 0 ? inputs : 0;
  Data<T> data{random.values<T>(rows * spec.input_size, inputs),
               random.values<T>(states * P, scale),
               random.values<T>(states * H, scale),
               random.values<T>(rows * out, 0),
               random.values<T>(states * P, 0),
               random.values<T>(states * H, 0),
               {},
               {},
               {},
               {}};
  const int fan = -static_cast<int>(std::bit_width(H)) / 2;
  for (const Parameter& p : spec.parameters()) {
    std::size_t size = 1;
    for (int extent : p.shape) size *= extent;
    data.parameters.push_back(random.values<T>(size, fan));
  }
  for (int layer = 1; layer < spec.num_layers; ++layer) {
    std::vector<T> mask = random.values<T>(rows * out, 0);
    for (T& factor : mask) factor = factor < T(-0.5) ? T(0) : T(1.25);
    data.masks.push_back(std::move(mask));
  }
  for (std::size_t i = 0; i < rows; ++i) data.active.push_back(i % 3 != 1), data.reset.push_back(i % 7 == 3);
  return data;
}

template <class T> std::vector<const T*> pointers(const std::vector<std::vector<T>>& arrays) {
  std::vector<const T*> all;
  for (const auto& each : arrays) all.push_back(each.data());
  return all;
}

template <class T> Rows<T> sequence(T* data, int batch, int width) {
  return {data, static_cast<std::ptrdiff_t>(batch) * width, width, batch};
}

template <class T> void run(const Case& c, const Data<T>& data, const Weights<T>& weights, Hash& hash) {
  const Spec& spec = c.spec;
  const bool lstm = spec.has_cell_state();
  std::vector<T> y(data.dy.size()), h(data.h0.size()), cell(data.c0.size());
  const auto of = [&](const std::vector<T>& h_, const std::vector<T>& c_) {
    return State<const T>{h_.data(), lstm ? c_.data() : nullptr};
  };
  Call<T> call{c.steps, c.batch, sequence(data.x.data(), c.batch, spec.input_size), of(data.h0, data.c0),
               pointers(data.masks)};
  call.y = sequence(y.data(), c.batch, spec.output_size());
  call.final = {h.data(), lstm ? cell.data() : nullptr};
  if (c.flags) {
    call.options.active = {data.active.data(), c.batch, 1, c.batch};
    if (!spec.bidirectional) {
      call.options.reset = {data.reset.data(), c.batch, 1, c.batch};
      call.options.reset_to = call.initial;
    }
  }
  Tape<T> tape;
  Workspace<T> workspace(weights, c.steps, c.batch);
  if (c.steps == 1 && c.batch == 1 && has_one_step(weights)) infer_one_step(weights, call, OneStepWorkspace<T>(spec));
  else infer(weights, call, workspace);
  for (const auto* output : {&y, &h, &cell}) hash.add(*output);
  if (c.format != Format::native) return;
  record(weights, call, c.checkpoint, tape);
  for (const auto* output : {&y, &h, &cell}) hash.add(*output);
  std::vector<T> dx(data.x.size()), dh0(h.size()), dc0(cell.size()), dh_reset(h.size()), dc_reset(cell.size());
  auto dparameters = data.parameters;
  Gradients<T> gradients{};
  gradients.dy = sequence(data.dy.data(), c.batch, spec.output_size());
  gradients.dfinal = of(data.dh, data.dc);
  gradients.dx = sequence(dx.data(), c.batch, spec.input_size);
  gradients.dinitial = {dh0.data(), lstm ? dc0.data() : nullptr};
  gradients.dreset = {dh_reset.data(), lstm ? dc_reset.data() : nullptr};
  for (auto& each : dparameters) gradients.parameters.push_back(each.data());
  backward(weights, tape, gradients);
  for (const auto* gradient : {&dx, &dh0, &dc0, &dh_reset, &dc_reset}) hash.add(*gradient);
  for (const auto& gradient : dparameters) hash.add(gradient);
}

template <class T> std::uint64_t network(const Case& c, const Ops<T>& ops) {
  const Data<T> data = make_data<T>(c);
  const Weights<T> weights(c.spec, pointers(data.parameters), ops, c.format);
  std::vector<Hash> hashes(c.callers);
  std::vector<std::thread> threads;
  for (int i = 1; i < c.callers; ++i) threads.emplace_back([&, i] { run(c, data, weights, hashes[i]); });
  run(c, data, weights, hashes[0]);
  for (std::thread& each : threads) each.join();
  for (const Hash& each : hashes)
    if (each.value() != hashes[0].value()) return 0;  // a hash that no other build prints
  return hashes[0].value();
}

template <class T> std::uint64_t linear(int M, int N, int K, const Ops<T>& ops) {
  Random random;
  const auto weight = random.values<T>(static_cast<std::size_t>(N) * K, -2), bias = random.values<T>(N, 0),
             x = random.values<T>(static_cast<std::size_t>(M) * K, 0),
             dy = random.values<T>(static_cast<std::size_t>(M) * N, 0);
  const Linear<T> layer(weight.data(), bias.data(), N, K, ops);
  std::vector<T> y(dy.size()), dx(x.size()), dweight(weight.size()), dbias(bias.size());
  layer.forward(x.data(), M, y.data());
  layer.backward(x.data(), dy.data(), M, dx.data(), dweight.data(), dbias.data());
  Hash hash;
  for (const auto* each : {&y, &dx, &dweight, &dbias}) hash.add(*each);
  return hash.value();
}

// Covers the whole range with every so many-th bit pattern, with both signs, subnormals, infinities and NaN.
template <class T, class F> std::uint64_t function(F f) {
  constexpr Bits<T> stride = sizeof(T) == 4 ? 8191 : 35184372088831;  // 2^13 - 1, 2^45 - 1
  std::vector<T> x;
  for (Bits<T> bits = 0, before = 0; bits >= before; before = bits, bits += stride)
    x.push_back(std::bit_cast<T>(bits));
  std::vector<T> y(x.size(), T(0));
  f(x.data(), y.data(), static_cast<std::ptrdiff_t>(x.size()));
  for (T& each : y)  // the sign of a NaN from infinities depends on the CPU
    if (each != each) each = std::numeric_limits<T>::quiet_NaN();
  Hash hash;
  hash.add(y);
  return hash.value();
}

template <class T, class Tell> void all_of(const Ops<T>& ops, Tell tell) {
  const std::string type = type_name<T>;
  for (const Case& c : cases())
    if (sizeof(T) == 4 || c.format == Format::native) tell(type + " " + c.name(), network(c, ops));
  tell(type + " linear M33 N70 K41", linear(33, 70, 41, ops));
  tell(type + " linear M200 N96 K520", linear(200, 96, 520, ops));
  for (int f = 0; f < activation_count; ++f)
    tell(type + " activation " + std::to_string(f), function<T>([&](const T* x, T* y, std::ptrdiff_t n) {
           ops.activate(static_cast<Activation>(f), T(0.3), x, y, n);
         }));
  tell(type + " softmax of 7", function<T>([&](const T* x, T* y, std::ptrdiff_t n) { ops.softmax(x, y, n / 7, 7); }));
}

}  // namespace
}  // namespace pyrnn

int main(int count, char** arguments) {
  std::vector<const pyrnn::Isa*> isas;
  for (int i = 1; i < count; ++i) isas.push_back(&pyrnn::isa_named(arguments[i]));
  if (isas.empty()) isas = pyrnn::available_isas();
  std::map<std::string, std::uint64_t> first;
  bool same = true;
  for (const pyrnn::Isa* isa : isas) {
    const auto tell = [&](const std::string& name, std::uint64_t hash) {
      const bool agrees = first.try_emplace(name, hash).first->second == hash;
      same &= agrees;
      std::printf("%s %016llx %s%s\n", isa->name, static_cast<unsigned long long>(hash), name.c_str(),
                  agrees ? "" : " DIFFERS");
    };
    pyrnn::all_of(isa->f32, tell);
    pyrnn::all_of(isa->f64, tell);
  }
  return same ? 0 : 1;
}
