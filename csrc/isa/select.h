// The ISA in use: chosen once from what the CPU has, or by the environment variable PYRNN_ISA.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "dispatch/kernels.h"

namespace pyrnn {

// The cells, the same in the table of every ISA.
std::span<const CellFacts> cells() noexcept;

// Those built in that this CPU can run, slowest first.
std::vector<const Isa*> available_isas();

// By name ("scalar", "avx2", "avx512", "avx512vnni", "neon"); throws std::invalid_argument listing what there is.
const Isa& isa_named(std::string_view name);

// PYRNN_ISA if it is set (throws as above), else the fastest.
const Isa& isa();

}  // namespace pyrnn
