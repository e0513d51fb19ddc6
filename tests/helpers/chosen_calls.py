"""Calls of layers whose activations and peepholes are drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import drawn
import plain
from drawn import CELLS, Call
from hypothesis import strategies as st

NAMES = tuple(plain.ACTIVATIONS)
GATED = tuple(cell for cell in CELLS if not cell.startswith("rnn"))


@st.composite
def chosen_calls(draw: Any) -> Call:
    call: Call = draw(drawn.calls(sizes=20))
    options = {"activation": draw(st.sampled_from(NAMES))}
    if call.config.cell in GATED:
        options["recurrent_activation"] = draw(st.sampled_from(NAMES))
    if call.config.equations == "lstm":
        options["peephole"] = draw(st.booleans())
    return replace(call, chosen=options)
