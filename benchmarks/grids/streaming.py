"""The grid `stream`: one step at batch 1, called from C++ and from Python, beside peers and RTNeural."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.table import Table

from pyrnn.core import layers

from .. import report, roofline
from ..case import CELLS, Case
from ..measure import Contestant, best_in_turn, compared
from ..peers import Peers, started
from . import Grid, Options

SIZES = [8, 16, 32, 64, 128]  # I and H

# Microseconds a step of RTNeural (https://github.com/jatinchowdhury18/RTNeural), called from C++: its Eigen backend
# with sizes fixed at compile time and -march=native, measured for this project on an AMD EPYC (Zen 4) whose L2 gave
# RTNEURAL_L2 GB/s. RTNeural has no plain RNN.
RTNEURAL = {
    "LSTM": dict(zip(SIZES, [0.068, 0.101, 0.264, 1.38, 5.17], strict=True)),
    "GRU": dict(zip(SIZES, [0.068, 0.106, 0.236, 1.06, 3.75], strict=True)),
}
RTNEURAL_L2 = 112.0

STEPS = 100  # steps of a turn in C++, which reads the clock once for all of them


@dataclass(frozen=True)
class Row:
    """The measurements of a cell, in microseconds a step.

    Attributes:
        case: the case.
        us: the times by contestant; "C++" and "Python" are pyrnn, called from there.
        rtneural_us: the time of RTNeural, from the table above.
        l2_gbytes: bandwidth of this machine's L2, in 10^9 bytes a second.
    """

    case: Case
    us: dict[str, float]
    rtneural_us: float | None
    l2_gbytes: float

    @property
    def scaled_us(self) -> float | None:
        """RTNeural's time, scaled in inverse proportion to the bandwidth of L2."""
        return None if self.rtneural_us is None else self.rtneural_us * RTNEURAL_L2 / self.l2_gbytes

    @property
    def ratio(self) -> float | None:
        """The speed-up over RTNeural's scaled time.

        >>> Row(Case("streaming", "LSTM", 1, 1, 8, 8), {"C++": 0.1}, 0.4, 224.0).ratio
        2.0
        """
        return None if self.scaled_us is None else self.scaled_us / self.us["C++"]

    def record(self) -> dict[str, Any]:
        """Everything in the row, for JSON."""
        times = {f"{name}_us": us for name, us in self.us.items()}
        scaled = {"rtneural_us": self.rtneural_us, "rtneural_scaled_us": self.scaled_us, "ratio_rtneural": self.ratio}
        overhead = {"python_overhead_us": self.us["Python"] - self.us["C++"], "l2_gbytes": self.l2_gbytes}
        return {**asdict(self.case), **times, **overhead, **scaled}

    def __str__(self) -> str:
        return str(self.case)


@contextmanager
def opened(options: Options) -> Iterator[Grid]:
    """Starts the peers, and opens the grid."""
    cases = [
        Case("streaming", cell, 1, 1, size, size) for cell in CELLS if options.cell in (None, cell) for size in SIZES
    ]
    with started("streaming", options.threads) as peers:
        limits = roofline.measured(options.threads).limits()
        rows = (measure(case, peers, limits["L2"], options.seconds / len(cases)) for case in cases)
        yield Grid(rows, len(cases), tables, peers.versions, peers.missing, limits)


def measure(case: Case, peers: Peers, l2_gbytes: float, seconds: float) -> Row:
    """Compares one step of each contestant and times many.

    Raises:
        RuntimeError: if the results of one differ.
    """
    layer = getattr(layers, case.cell)(case.input, case.hidden, seed=0)
    contestants = {name: make(case, layer.state_dict()) for name, make in peers.makers.items()}
    turns = compared(case, {"pyrnn": contestant(case, layer), **contestants})
    x, out = np.random.default_rng(0).standard_normal((8, 1, case.input), np.float32), _room(case)
    stream = layer.stream()._stream
    turns = {
        "C++": lambda: stream.seconds_of(x, out, STEPS) / STEPS,
        "Python": turns.pop("pyrnn"),
        **turns,
    }
    rtneural = RTNEURAL.get(case.cell, {}).get(case.hidden)
    return Row(case, best_in_turn(turns, seconds), rtneural, l2_gbytes)


def contestant(case: Case, layer: Any) -> Contestant:
    """A step of a stream that starts from the state of the case."""
    x, out, parts = case.draw()[0][0], _room(case), case.state()
    stream = layer.stream()
    stream.state = tuple(parts) if len(parts) > 1 else parts[0]
    step = stream.step
    return Contestant(lambda: step(x, out=out), lambda y: [y[None], *stream._stream.state()])


def _room(case: Case) -> Any:
    return np.empty((1, case.hidden), np.float32)


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """All rows in one table."""
    peers = list(dict.fromkeys(name for row in rows for name in row.us if name not in ("C++", "Python")))
    heading = (
        "one step at batch 1, µs; RTNeural as published (its L2: "
        f"{RTNEURAL_L2:.0f} GB/s), scaled to this L2, ratio of C++ to that"
    )
    named = ["C++", "Python", "Python - C++", *peers, "RTNeural published", "RTNeural scaled", "ratio"]
    table = report.new_table(heading, ["cell", "I=H"], named)
    for i, row in enumerate(rows):
        over = report.time(row.us["Python"] - row.us["C++"])
        known = report.time(row.rtneural_us), report.time(row.scaled_us), report.ratio(row.ratio)
        times = [report.time(row.us[name]) for name in ("C++", "Python")]
        last = rows[i : i + 2][-1].case.cell != row.case.cell
        others = [report.time(row.us.get(name)) for name in peers]
        table.add_row(row.case.cell, str(row.case.hidden), *times, over, *others, *known, end_section=last)
    yield table
