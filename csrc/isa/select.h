// The ISA in use. The first call of isa() chooses it: the one that the environment variable PYRNN_ISA names, or the
// fastest of this CPU.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "dispatch/kernels.h"

namespace pyrnn {

// The facts about all cells; the table of every ISA has the same.
std::span<const CellFacts> cells() noexcept;

// The ISAs that this build contains and this CPU can run, slowest first.
std::vector<const Isa*> available_isas();

// Returns the ISA of that name ("scalar", "avx2", "avx512", "avx512vnni", "neon"); throws std::invalid_argument with
// the available names.
const Isa& isa_named(std::string_view name);

// Returns the ISA that PYRNN_ISA names if it is set (throws as above), else the fastest.
const Isa& isa();

}  // namespace pyrnn
