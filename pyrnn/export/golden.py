"""The test program compares its outputs bit by bit with those of the Python run, and a hash over a longer run."""

from __future__ import annotations

import textwrap

import numpy as np

from pyrnn.checks.arrays import Array

from .constants import literals
from .network import CNetwork
from .program import named

SHOWN = 16  # steps whose outputs the test holds; later ones enter the hash only

_TEST = """\
/* Compares vad.c with the run in Python, bit by bit: STEPS steps by the outputs below, then LONG steps of
   pseudo-random inputs by a hash of their outputs. It prints the hash, and returns 0 if all is equal. */
#include "vad.h"

#include <stdio.h>
#include <string.h>

enum { shown = STEPS, steps = LONG };

static const TAKEN inputs[shown * VAD_INPUTS] = {
INPUTS
};

static const uint32_t outputs[shown * VAD_OUTPUTS] = {
OUTPUTS
};

static vad_state state;
static TAKEN x[VAD_INPUTS];
static VALUE y[shown * VAD_OUTPUTS];

static uint32_t bits_of(VALUE value) {
BITS_OF
}

static int compare(const char *how) {
  int i, wrong = 0;
  for (i = 0; i < shown * VAD_OUTPUTS; ++i)
    if (bits_of(y[i]) != outputs[i] && !wrong++)
      printf("%s: step %d, output %d: got %08lx, expected %08lx\\n", how, i / VAD_OUTPUTS, i % VAD_OUTPUTS,
             (unsigned long)bits_of(y[i]), (unsigned long)outputs[i]);
  return wrong;
}

int main(void) {
  uint32_t hash = 2166136261u, random = 1;
  int i, t, wrong;
  vad_reset(&state);
  vad_run(&state, inputs, shown / 3, y);
  vad_run(&state, inputs + shown / 3 * VAD_INPUTS, shown - shown / 3, y + shown / 3 * VAD_OUTPUTS);
  wrong = compare("vad_run");
  vad_reset(&state);
  for (t = 0; t < shown; ++t) vad_step(&state, inputs + t * VAD_INPUTS, y + t * VAD_OUTPUTS);
  wrong += compare("vad_step");
  vad_reset(&state);
  for (t = 0; t < steps; ++t) {
    for (i = 0; i < VAD_INPUTS; ++i) {
      random = random * 1664525u + 1013904223u;
      x[i] = DRAWN;
    }
    vad_step(&state, x, y);
    for (i = 0; i < VAD_OUTPUTS; ++i) hash = (hash ^ bits_of(y[i])) * 16777619u;
  }
  printf("%08lx\\n", (unsigned long)hash);
  return wrong || hash != HASH;
}
"""


# For each type of values: the C and NumPy that read its bits, and the C that makes a value of the 32 bits `random`.
_BITS_OF = {
    "float": "  uint32_t bits;\n  memcpy(&bits, &value, sizeof bits);\n  return bits;",
    "int16_t": "  return (uint16_t)value;",
}
_BITS = {"float": np.uint32, "int16_t": np.uint16}
_DRAWN = {
    "float": "(float)((int32_t)(random >> 8) - 8388608) / 4194304.0f",
    "int16_t": "(int16_t)((int32_t)(random >> 16) - 32768)",
}


def test_program(network: CNetwork, name: str, x: Array | None, steps: int) -> str:
    """Returns the text of vad_test.c; its first inputs are those of x [T,inputs], by default pseudo-random ones."""
    drawn = pseudo_random(steps, network)
    shown = np.ascontiguousarray((drawn if x is None else network.inputs_of(x))[:SHOWN])
    outputs = [f"0x{bits:08x}u" for bits in bits_of(network.run(shown), network)]
    text = named(_TEST, name)
    filled = {
        "STEPS": str(len(shown)),
        "LONG": str(steps),
        "INPUTS": literals(shown),
        "OUTPUTS": textwrap.fill(", ".join(outputs), 116, initial_indent="  ", subsequent_indent="  "),
        "HASH": f"0x{hash_of(bits_of(network.run(drawn), network)):08x}u",
        "TAKEN": network.taken,
        "DRAWN": f"(int32_t)((random >> 8) % {network.rows}u)" if network.rows else _DRAWN[network.value],
        "BITS_OF": _BITS_OF[network.value],
        "VALUE": network.value,
    }
    for word in ("INPUTS", "OUTPUTS"):
        text = text.replace(f"\n{word}\n", f"\n{filled.pop(word)}\n")
    for word, value in filled.items():
        text = text.replace(word, value)
    return text


def pseudo_random(steps: int, network: CNetwork) -> Array:
    """Returns the inputs of the test's long run, [steps,inputs]: float32 from -2 to 2, all of int16, or indices."""
    numbers, random = [], 1
    for _ in range(steps * network.inputs):
        random = (random * 1664525 + 1013904223) & 0xFFFFFFFF
        numbers.append(random >> 8)
    drawn = np.array(numbers, np.int32).reshape(steps, network.inputs)
    if network.rows:
        return drawn % network.rows
    centred = drawn - 8388608
    return (centred >> 8).astype(np.int16) if network.value == "int16_t" else centred.astype(np.float32) / 2**22


def bits_of(y: Array, network: CNetwork) -> list[int]:
    """Returns the bits of each output as an int."""
    bits: list[int] = y.view(_BITS[network.value]).ravel().tolist()
    return bits


def hash_of(outputs: list[int]) -> int:
    """Returns the FNV-1a hash of the bits of the outputs, one output at a time."""
    found = 2166136261
    for bits in outputs:
        found = ((found ^ bits) * 16777619) & 0xFFFFFFFF
    return found
