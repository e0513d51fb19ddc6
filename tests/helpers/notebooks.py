"""Entries of the JSON that from-scratch notebooks write."""

from __future__ import annotations

from typing import Any

import numpy as np

RANDOM = np.random.default_rng(0)


def lstm(inputs: int, hidden: int, column: bool = False) -> dict[str, Any]:
    """An entry with random arrays; biases are [H,1] if `column` is set, otherwise [H]."""
    arrays = {}
    for gate in "fico":
        arrays[f"W_{gate}"] = RANDOM.normal(size=(inputs, hidden)).tolist()
        arrays[f"U_{gate}"] = RANDOM.normal(size=(hidden, hidden)).tolist()
        arrays[f"b_{gate}"] = RANDOM.normal(size=(hidden, 1) if column else hidden).tolist()
    return {"type": "lstm", "params": arrays}


def dense(inputs: int, outputs: int) -> dict[str, Any]:
    kernel, bias = RANDOM.normal(size=(inputs, outputs)), RANDOM.normal(size=outputs)
    return {"type": "dense", "params": {"kernel": kernel.tolist(), "bias": bias.tolist()}}
