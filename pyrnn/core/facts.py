"""Gets the facts about the cells from the kernels: gates and their order, slots, states, options.

The facts stand in csrc/cells, beside the equations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyrnn import _core
from pyrnn.checks.arrays import Array

# The key is the name of the cell, which a layer keeps as `mode`.
FACTS = _core.cells()

# The gates in the order of the rows of a weight. The key is the name of the layer's class.
GATES = {facts.layer: facts.gates for facts in FACTS.values()}

# The same gates; the key is the name of the cell.
GATES_OF_CELL = {name: facts.gates for name, facts in FACTS.items()}

# Whether the state of a cell is a pair (h, c); the key is the name of the cell.
IS_PAIR = {name: len(facts.states) == 2 for name, facts in FACTS.items()}


def reordered(rows: Array, order: Sequence[str], wanted: Sequence[str]) -> Array:
    """Puts the gates' blocks of rows [G*H, ...] into another order.

    >>> reordered(np.array([1, 1, 2, 2, 3, 3]), ("z", "r", "n"), GATES["GRU"])
    array([2, 2, 1, 1, 3, 3])
    """
    blocks = dict(zip(order, np.split(rows, len(order)), strict=True))
    return np.concatenate([blocks[gate] for gate in wanted])
