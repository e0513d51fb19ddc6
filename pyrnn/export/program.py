"""A program is a header and a source: the struct of the state, and the functions that run all parts in order."""

from __future__ import annotations

import re
import textwrap
from importlib.resources import files

from pyrnn import __version__

from .fixed.functions import INTEGERS
from .functions import Function, in_order
from .network import CNetwork
from .parts import INPUT, OUTPUT, CPart
from .products import zero

WIDTHS = {"int8_t": 1, "int16_t": 2, "int32_t": 4, "float": 4}  # bytes

_HEADER = """\
/* vad: DESCRIPTION
   Profile PROFILE. Made by pyrnn VERSION.

     static vad_state s;
     vad_reset(&s);
     for (;;) vad_step(&s, x, y);

   A state belongs to one thread at a time; the weights are shared. Nothing here allocates, locks or calls another
   library. x and y must not overlap. */
#ifndef VAD_H
#define VAD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VAD_INPUTS NUMBER_OF_INPUTS
#define VAD_OUTPUTS NUMBER_OF_OUTPUTS
FORMATS
/* The state, RAM bytes. It has no pointers: a copy of it is a second stream that goes on from the same step. */
typedef struct {
MEMBERS
} vad_state;

/* Call this before the first step of every sequence. */
void vad_reset(vad_state *s);
/* ONE_STEP */
void vad_step(vad_state *s, const TAKEN x[VAD_INPUTS], VALUE y[VAD_OUTPUTS]);
/* Runs several steps, x [steps][VAD_INPUTS], y [steps][VAD_OUTPUTS]: the same bits as that many single steps. */
void vad_run(vad_state *s, const TAKEN *x, size_t steps, VALUE *y);

#ifdef __cplusplus
}
#endif
#endif
"""

_FLOAT = """\
/* vad: DESCRIPTION
   Made by pyrnn VERSION. It computes the bits of pyrnn, wherever float is IEEE 754 and subnormals are not flushed.
   Flags like -ffp-contract=fast change nothing. If the CPU has no fused multiply-add, or the compiler does not know
   that it has (-mfma, -mfpu=fpv4-sp-d16), vad_fma computes the same bits, slowly. */
#include "vad.h"

ARITHMETIC
WIDE_INT
#if defined(__GNUC__)
#define VAD_ABS(x) __builtin_fabsf(x)
#else
#define VAD_ABS(x) ((x) < 0.0f ? -(x) : (x)) /* it may return -0, which changes no result */
#endif
"""

# GCC's limits.h includes that of the C library, which a freestanding target may lack.
_WIDE_INT = """\
#if defined(__INT_MAX__) /* GCC, Clang and tcc define it */
#define VAD_INT_MAX __INT_MAX__
#else
#include <limits.h>
#define VAD_INT_MAX INT_MAX
#endif
#if VAD_INT_MAX < 2147483647
#error "vad.c needs an int of 32 bits, which this target does not have"
#endif"""

_SOURCE = """\
PREAMBLE
#ifndef VAD_WEIGHTS /* you may define it, for example as __attribute__((section(".weights"))) */
#define VAD_WEIGHTS
#endif

CONSTANTS
FUNCTIONS
void vad_reset(vad_state *s) {
RESET
}

void vad_step(vad_state *s, const TAKEN x[VAD_INPUTS], VALUE y[VAD_OUTPUTS]) {
STEP
}

void vad_run(vad_state *s, const TAKEN *x, size_t steps, VALUE *y) {
  for (; steps; --steps, x += VAD_INPUTS, y += VAD_OUTPUTS) vad_step(s, x, y);
}
"""


class Program:
    """The texts of a network's files, under a name.

    Attributes:
        members: the members of the state's struct, and their sizes.
        types: the types of the members in C. The widest come first, so that the struct has no padding between members.
    """

    def __init__(self, network: CNetwork, name: str) -> None:
        self.network, self.name = network, name
        self.lines, lines_needed = _connected(network.parts)
        scratch = {"sums": 0, "projected": 0, **lines_needed, "bytes": 0}
        for part in network.parts:
            for member in ("sums", "projected", "bytes"):
                scratch[member] = max(scratch[member], getattr(part, member))
        self.state = {member: size for part in network.parts for member, size in part.state.items()}
        members = self.state | {member: size for member, size in scratch.items() if size}
        types = {"bytes": "int8_t"} | {member: kind for part in network.parts for member, kind in part.types.items()}
        self.types = {member: types.get(member, network.value) for member in members}
        self.members = dict(sorted(members.items(), key=lambda item: -WIDTHS[self.types[item[0]]]))

    @property
    def ram(self) -> int:
        """sizeof(vad_state): the sum of its members, rounded up to a multiple of the widest."""
        widths = {member: WIDTHS[kind] for member, kind in self.types.items()} or {
            "unused": WIDTHS[self.network.value]
        }
        widest = max(widths.values())
        return -(-sum(self.members.get(member, 1) * width for member, width in widths.items()) // widest) * widest

    @property
    def description(self) -> str:
        return " -> ".join(part.title for part in self.network.parts)

    def header(self) -> str:
        """Returns the text of vad.h."""
        rows = self.network.rows
        members = [f"  {self.types[name]} {name}[{size}];" for name, size in self.members.items()]
        return self._filled(
            _HEADER,
            NUMBER_OF_INPUTS=str(self.network.inputs),
            NUMBER_OF_OUTPUTS=str(self.network.outputs),
            MEMBERS="\n".join(members or [f"  {self.network.value} unused;"]),
            ONE_STEP=f"One step, of an index from 0 to {rows - 1}; another counts as the nearest."
            if rows
            else "One step.",
            RAM=str(self.ram),
            FORMATS=self.network.formats,
        )

    def source(self) -> str:
        """Returns the text of vad.c."""
        needed: list[Function] = [function for part in self.network.parts for function in part.functions]
        zeros = {member: zero(self.types[member]) for member in self.state}
        reset = [f"  {zeros[member].name}(s->{member}, {size});" for member, size in self.state.items()]
        functions = in_order([*needed, *zeros.values()])
        step = [f"  {line}" for line in self.lines]
        if any(line.startswith("for (i") for line in self.lines):
            step.insert(0, "  int i;")
        if not self.members:
            step.append("  (void)s;")
        constants = [each.text(self.name) for part in self.network.parts for each in part.constants]
        text = self._filled(
            _SOURCE.replace("PREAMBLE\n", INTEGERS if self.network.value == "int16_t" else _FLOAT),
            ARITHMETIC=_arithmetic(),
            WIDE_INT=_WIDE_INT,
            FUNCTIONS="\n".join(function.text for function in functions),
            RESET="\n".join(reset or ["  (void)s;"]),
            STEP="\n".join(step),
        )
        return text.replace("CONSTANTS", "\n".join(constants), 1)  # last, because it may be large

    def _filled(self, template: str, **texts: str) -> str:
        description = textwrap.fill(self.description, 110, subsequent_indent="   ")
        texts |= {"DESCRIPTION": description, "PROFILE": self.network.profile, "VERSION": __version__}
        texts |= {"VALUE": self.network.value, "TAKEN": self.network.taken}
        for word, text in texts.items():
            template = re.sub(rf"\b{word}\b", text.replace("\\", r"\\"), template)
        return named(template, self.name)


def _arithmetic() -> str:
    """Returns csrc/simd/fma.h, installed beside this file: the fused multiply-add, and rules for compilers."""
    text = files(__package__).joinpath("fma.h").read_text().partition("#pragma once\n\n")[2]
    text = text.replace("PYRNN_", "VAD_").replace("pyrnn_", "vad_").replace("pyrnn", "vad.c")
    return re.sub(r"(?m)^#include <stdint.h>\n", "", text)  # vad.h includes it


def named(text: str, name: str) -> str:
    """Returns a text written for the name `vad` with another name in its place."""
    text = re.sub(r"\bvad(?=[_.:])", lambda _: name, text)
    return re.sub(r"\bVAD(?=_)", lambda _: name.upper(), text)


def _connected(parts: list[CPart]) -> tuple[list[str], dict[str, int]]:
    """Returns the lines of a step, and the sizes of two buffers, which outputs without a home use alternately."""
    lines, sizes = [], {"even": 0, "odd": 0}
    source = "x"
    for index, part in enumerate(parts):
        member = ("even", "odd")[index % 2]
        if index + 1 == len(parts):
            target = "y"
        elif part.home:
            target = f"s->{part.home}"
        else:
            target, sizes[member] = f"s->{member}", max(sizes[member], part.outputs)
        lines.append(f"/* {part.title} */")
        filled = [line.replace(INPUT, source).replace(OUTPUT, target) for line in part.lines]
        lines += [line for line in filled if not re.fullmatch(r"vad_copy\((.+), \d+, \1\);", line)]
        source = target
    return lines, sizes
