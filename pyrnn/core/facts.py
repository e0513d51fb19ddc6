"""The facts about the cells: gates and their order, what a step keeps, states, options. They stand in csrc/cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyrnn import _core
from pyrnn.checks.arrays import Array

FACTS = _core.cells()  # by the name of the cell, which a layer keeps as `mode`

# By the name of a layer's class, the gates in the order of the rows of its weights.
GATES = {facts.layer: facts.gates for facts in FACTS.values()}

# By the name of the cell, the same.
GATES_OF_CELL = {name: facts.gates for name, facts in FACTS.items()}

# By the name of the cell, whether its state is a pair (h, c).
IS_PAIR = {name: len(facts.states) == 2 for name, facts in FACTS.items()}


def reordered(rows: Array, order: Sequence[str], wanted: Sequence[str]) -> Array:
    """The gates' blocks of rows [G*H, ...] in another order.

    >>> reordered(np.array([1, 1, 2, 2, 3, 3]), ("z", "r", "n"), GATES["GRU"])
    array([2, 2, 1, 1, 3, 3])
    """
    blocks = dict(zip(order, np.split(rows, len(order)), strict=True))
    return np.concatenate([blocks[gate] for gate in wanted])
