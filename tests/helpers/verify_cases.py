"""Makes a layer wrong for the tests of pyrnn.verify, and shortens a report to its first difference."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.core.module import Module
from pyrnn.verify import Report


def with_swapped_gates(layer: Module, name: str, first: int, second: int) -> None:
    """Exchanges the rows of two gates in a weight."""
    array = layer.state_dict()[name]
    parts = np.split(array, len(array) // layer.hidden_size)
    parts[first], parts[second] = parts[second], parts[first]
    setattr(layer, name, np.concatenate(parts))


def found(report: Report) -> tuple[Any, ...]:
    """The layer, direction, step and gate of the first difference."""
    assert report.first is not None
    return report.first.layer, report.first.direction, report.first.step, report.first.gate
