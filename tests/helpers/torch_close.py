"""Asserts that tensors, or gradients in groups, are close to each other."""

from __future__ import annotations

from typing import Any

import cases
import numpy as np
import torch

OUTPUT, GRADIENT = cases.OUTPUT[np.float64], cases.GRADIENT[np.float64]


def assert_close(found: Any, expected: Any, atol: float = OUTPUT) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


def assert_slopes(found: dict[str, Any], expected: dict[str, Any]) -> None:
    # The rounding error of the largest gradient flows into all.
    scale = max(float(np.abs(value).max()) for values in expected.values() for value in values.values())
    for group, values in found.items():
        for name, value in values.items():
            cases.assert_near(value, expected[group][name], GRADIENT * scale, f"{group} {name}", np.float64)
