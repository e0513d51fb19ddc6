"""`python -m benchmarks` on tiny shapes, for its tests and for the process that they start."""

from __future__ import annotations

import sys
from typing import Any

from benchmarks import measure, roofline, run, shapes
from benchmarks.grids import formats, growth, streaming

SHAPES = {"inference": [(2, 1, 2, 3), (8, 3, 2, 3)], "training": [(8, 3, 2, 3)]}
STEPS = [(1, 2, 2, 3)]


def machine(threads: int) -> roofline.Machine:
    """A machine whose limits are measured in a moment."""
    return roofline.Machine(threads, seconds=0.001)


# Module, name and value of each change: sizes are small, and a line takes three rounds.
CHANGES: list[tuple[Any, str, Any]] = [
    (shapes, "SEQUENCES", SHAPES),
    (shapes, "STEPS", STEPS),
    (streaming, "SIZES", [8]),
    (formats, "SIZES", [8]),
    (formats, "STEPS", [1, 2]),
    (growth, "AXES", {"T": [1, 2, 4], "layers": [1, 2]}),
    (growth, "BASES", {"T": [(0, 1, 3, 1)], "layers": [(2, 3, 3, 0)]}),
    (run, "QUICK", 0.0),
    (measure, "TURN", 0.0),
    (measure, "TURN_OF_THREADS", 0.0),
    (roofline, "measured", machine),
    (roofline, "cache_sizes", lambda: {"L1": 1 << 13, "L2": 1 << 14, "L3": 1 << 15}),
]

if __name__ == "__main__":  # python bench_tiny.py GRID prints the grid's JSON
    for module, name, value in CHANGES:
        setattr(module, name, value)
    run.run(sys.argv[1], quick=True, json=True)
