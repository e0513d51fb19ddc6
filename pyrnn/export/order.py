"""States the order in which the exported C keeps the sums of a step, and puts indexes in place of their names.

The sum of a GRU's n comes first, so that the product of W_hh adds to consecutive numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.core.facts import FACTS, GATES_OF_CELL

ROWS = {**GATES_OF_CELL, "gru": ("n", "r", "z"), "gru_reset_before": ("n", "r", "z")}  # the rows of weight_ih
SUMS = {mode: (*rows, *sorted(set(FACTS[mode].slots) & {"hn"})) for mode, rows in ROWS.items()}
PEEPHOLES = ("i", "o", "f")  # the rows of weight_peephole, as ONNX's P


def rows_of(mode: str, gates: Sequence[str], hidden: int) -> Array:
    """Returns the indexes of the rows of these gates in a weight with torch's order."""
    return np.concatenate([np.arange(hidden) + GATES_OF_CELL[mode].index(gate) * hidden for gate in gates])


def in_c(text: str, mode: str) -> str:
    """Puts indexes in place of names: `a_i` is the sum of gate i of unit u, `p_i` its peephole, SUMS all names.

    The comment at the start keeps the names.

    >>> in_c("/* SUMS */ a_i a_f p_f", "lstm")
    '/* i, f, g, o */ a[u] a[H + u] p[2 * H + u]'
    """
    names = ", ".join("and W_hn h + b_hn" if name == "hn" else name for name in SUMS[mode])
    comment, end, code = text.partition("*/")
    return comment.replace("SUMS", names) + end + _indexed(_indexed(code, "a", SUMS[mode]), "p", PEEPHOLES)


def _indexed(code: str, array: str, order: Sequence[str]) -> str:
    for place, name in enumerate(order):
        block = ("u", "H + u")[place] if place < 2 else f"{place} * H + u"
        code = re.sub(rf"\b{array}_{name}\b", f"{array}[{block}]", code)
    return code
