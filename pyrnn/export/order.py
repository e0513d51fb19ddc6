"""The order in which the exported C keeps the sums of a step, and the names of the sums in its text.

Of a GRU n comes first, so that what the product of W_hh adds to is in one piece.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.core.facts import FACTS, GATES_OF_CELL

ROWS = {**GATES_OF_CELL, "gru": ("n", "r", "z"), "gru_reset_before": ("n", "r", "z")}  # of weight_ih
SUMS = {mode: (*rows, *sorted(set(FACTS[mode].slots) & {"hn"})) for mode, rows in ROWS.items()}
PEEPHOLES = ("i", "o", "f")  # the rows of weight_peephole, as ONNX's P


def rows_of(mode: str, gates: Sequence[str], hidden: int) -> Array:
    """The rows of these gates in a weight of torch's, one block after the other."""
    return np.concatenate([np.arange(hidden) + GATES_OF_CELL[mode].index(gate) * hidden for gate in gates])


def in_c(text: str, mode: str) -> str:
    """C in which `a_i` became the sum of gate i of unit u, `p_i` its peephole, and SUMS the names of the sums.

    >>> in_c("a_i a_f p_f", "lstm")
    'a[u] a[H + u] p[2 * H + u]'
    """
    text = _indexed(_indexed(text, "a", SUMS[mode]), "p", PEEPHOLES)
    *others, last = ["W_hn h + b_hn" if name == "hn" else name for name in SUMS[mode]]
    return text.replace("SUMS", f"{', '.join(others)}, {'and ' if last not in SUMS[mode] else ''}{last}")


def _indexed(text: str, array: str, order: Sequence[str]) -> str:
    for place, name in enumerate(order):
        block = ("u", "H + u")[place] if place < 2 else f"{place} * H + u"
        text = re.sub(rf"\b{array}_{name}\b", f"{array}[{block}]", text)
    return text
