#include "isa/select.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace pyrnn {

#if defined(PYRNN_INFERENCE)  // the C library uses the tables without training (build.cpp)
#define PYRNN_TABLE(name) inference_##name
#else
#define PYRNN_TABLE(name) isa_##name
#endif
extern const Isa PYRNN_TABLE(scalar), PYRNN_TABLE(avx2), PYRNN_TABLE(avx512), PYRNN_TABLE(avx512vnni),
    PYRNN_TABLE(neon);

std::span<const CellFacts> cells() noexcept {
  return {PYRNN_TABLE(scalar).cells, static_cast<std::size_t>(PYRNN_TABLE(scalar).cell_count)};
}

std::vector<const Isa*> available_isas() {
  std::vector<const Isa*> found = {&PYRNN_TABLE(scalar)};
#if defined(PYRNN_HAS_avx2)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back(&PYRNN_TABLE(avx2));
#endif
#if defined(PYRNN_HAS_avx512)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    found.push_back(&PYRNN_TABLE(avx512));
    if (__builtin_cpu_supports("avx512vnni")) found.push_back(&PYRNN_TABLE(avx512vnni));
  }
#endif
#if defined(PYRNN_HAS_neon)
  found.push_back(&PYRNN_TABLE(neon));
#endif
  return found;
}

const Isa& isa_named(std::string_view name) {
  std::string known;
  for (const Isa* candidate : available_isas()) {
    if (candidate->name == name) return *candidate;
    known += known.empty() ? candidate->name : std::string(", ") + candidate->name;
  }
  throw std::invalid_argument("PYRNN_ISA: expected one of " + known + " (what this CPU and this build have), got \"" +
                              std::string(name.substr(0, 40)) + "\"");
}

const Isa& isa() {
  static const Isa& chosen = [&]() -> const Isa& {
    const char* forced = std::getenv("PYRNN_ISA");
    return forced && *forced ? isa_named(forced) : *available_isas().back();
  }();
  return chosen;
}

}  // namespace pyrnn
