"""The sizes that are measured: T, B, I, H as in the tables of docs/performance.md."""

from __future__ import annotations

Shape = tuple[int, int, int, int]  # T, B, I, H

SEQUENCES: dict[str, list[Shape]] = {
    "inference": [
        (1, 1, 32, 40), (1, 1, 1, 128), (100, 1, 64, 64), (100, 1, 128, 128), (100, 1, 256, 256), (50, 1, 512, 512),
        (25, 1, 1024, 1024), (100, 8, 128, 128), (100, 32, 128, 128), (100, 32, 256, 256), (50, 64, 512, 512),
        (100, 128, 64, 64), (25, 256, 512, 512),
    ],
    "training": [
        (100, 1, 64, 64), (100, 1, 128, 128), (100, 1, 256, 256), (100, 8, 128, 128), (100, 32, 128, 128),
        (100, 32, 256, 256), (50, 64, 512, 512), (100, 128, 64, 64),
    ],
}  # fmt: skip

# The sizes of LSTMCell, GRUCell and RNNCell, which make one step a call.
STEPS: list[Shape] = [(1, 1, 32, 40), (1, 1, 128, 128), (1, 32, 128, 128)]
