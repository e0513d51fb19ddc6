"""The test program: outputs of the Python run, bit by bit, and a hash over a longer one."""

from __future__ import annotations

import textwrap

import numpy as np

from ..module import Array
from .constants import literals
from .network import Network
from .program import named

SHOWN = 16  # steps whose outputs stand in the test; the others are in the hash

_TEST = """\
/* Compares vad.c with the run in Python, bit by bit: STEPS steps that stand here, then LONG of pseudo-random inputs by
   their hash. Prints the hash; returns 0 if all is equal. */
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
static float y[shown * VAD_OUTPUTS];

static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
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


_DRAWN = "(float)((int32_t)(random >> 8) - 8388608) / 4194304.0f"


def test_program(network: Network, name: str, x: Array | None, steps: int) -> str:
    """The text of vad_test.c; its first inputs are those of x [T,inputs], by default pseudo-random ones."""
    drawn = pseudo_random(steps, network)
    shown = np.ascontiguousarray((drawn if x is None else x)[:SHOWN])
    outputs = [f"0x{bits:08x}u" for bits in network.run(shown).view(np.uint32).ravel().tolist()]
    text = named(_TEST, name)
    filled = {
        "STEPS": str(len(shown)),
        "LONG": str(steps),
        "INPUTS": literals(shown),
        "OUTPUTS": textwrap.fill(", ".join(outputs), 116, initial_indent="  ", subsequent_indent="  "),
        "HASH": f"0x{hash_of(network.run(drawn)):08x}u",
        "TAKEN": network.taken,
        "DRAWN": f"(int32_t)((random >> 8) % {network.rows}u)" if network.rows else _DRAWN,
    }
    for word in ("INPUTS", "OUTPUTS"):
        text = text.replace(f"\n{word}\n", f"\n{filled.pop(word)}\n")
    for word, value in filled.items():
        text = text.replace(word, value)
    return text


def pseudo_random(steps: int, network: Network) -> Array:
    """The inputs of the test program's long run, [steps,inputs]: float32 from -2 to 2, or indices."""
    numbers, random = [], 1
    for _ in range(steps * network.inputs):
        random = (random * 1664525 + 1013904223) & 0xFFFFFFFF
        numbers.append(random >> 8)
    drawn = np.array(numbers, np.int32).reshape(steps, network.inputs)
    return drawn % network.rows if network.rows else (drawn - 8388608).astype(np.float32) / np.float32(4194304)


def hash_of(y: Array) -> int:
    """FNV-1a over the bits of the outputs, 32 at a time."""
    found = 2166136261
    for bits in y.view(np.uint32).ravel().tolist():
        found = ((found ^ bits) * 16777619) & 0xFFFFFFFF
    return found
