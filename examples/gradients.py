"""Shows how the gradient of a loss at the last of 100 days vanishes on its way to the first, in an RNN, LSTM and GRU.

The data are the daily returns of Google's share, 2004 to 2008, from matplotlib's sample data. As torch starts
them, all three forget: of a gradient of 1 at the last day 5e-29 (RNN), 7e-21 (LSTM) and 8e-18 (GRU) reach the
first. A gated cell, unlike an RNN, can hold its memory open: with a bias of 4 on the forget gate (LSTM) or the update
gate (GRU) it is 0.39 and 0.16.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pyrnn import GRU, LSTM, RNN
from pyrnn.checks.arrays import Array
from pyrnn.core.facts import GATES

from ._prices import load_prices

try:
    from matplotlib.figure import Figure
    from matplotlib.ticker import StrMethodFormatter
    from rich.console import Console
    from rich.table import Table
except ImportError as error:
    raise ImportError(f'this example needs {error.name}: pip install "pyrnn-cpu[examples]"') from error

STEPS, HIDDEN, OPEN = 100, 32, 4.0
SHOWN = (0, 50, 75, 90, 98)
CELLS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
KEEPING = {"LSTM": "f", "GRU": "z"}  # the gate that keeps the state while it is open


def returns() -> Array:
    """Windows of 100 daily returns, scaled to variance 1, [T,B,1]; a window begins every 20 days."""
    change = np.diff(np.log(load_prices()["adj_close"]))
    change /= change.std()
    starts = np.arange(0, len(change) - STEPS, 20)
    return np.asarray(change[np.arange(STEPS)[:, np.newaxis] + starts][..., np.newaxis])


def gradient_norms(x: Array, seed: int = 0) -> dict[str, Array]:
    """|dLoss/dh_t| of a loss with gradient 1 at the last step, [T] by name, as a share of that at the last step.

    "LSTM, open" and "GRU, open" start with a bias that holds the gate of their memory open.
    """
    norms = {}
    for name, cell in CELLS.items():
        for open_gate in (False, True) if name in KEEPING else (False,):
            layer = cell(1, HIDDEN, dtype=np.float64, seed=seed)
            if open_gate:
                bias = layer.bias_ih_l0.copy()
                bias.reshape(-1, HIDDEN)[GATES[name].index(KEEPING[name])] = OPEN
                layer.bias_ih_l0 = bias
            trace = layer.trace(x)
            loss = np.zeros_like(trace.output)
            loss[-1] = 1
            flow = trace.gradients(loss)[0, "forward"].h
            norms[f"{name}, open" if open_gate else name] = flow / flow[-1]
    return norms


def draw(norms: Mapping[str, Array], path: Path) -> None:
    """Draws a line for each layer on a logarithmic scale."""
    figure = Figure(figsize=(8.0, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, norm in norms.items():
        cell = name.partition(",")[0]
        axes.plot(norm, color=f"C{list(CELLS).index(cell)}", linestyle="--" if "open" in name else "-", label=name)
    axes.set(yscale="log", xlabel="day", ylabel="|dLoss/dh|, last day = 1")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:.0e}"))
    axes.set_title("What a loss at the last day tells each day before", loc="left")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def main(folder: Path | None = None) -> dict[str, Array]:
    """Prints the norms at some days, and writes gradients.png into `folder`, if there is one."""
    norms = gradient_norms(returns())
    table = Table(title="|dLoss/dh| at day, of 1 at the last", title_justify="left")
    table.add_column("cell")
    for day in SHOWN:
        table.add_column(str(day), justify="right")
    for name, norm in norms.items():
        table.add_row(name, *[f"{norm[day]:.1e}" for day in SHOWN])
    Console(soft_wrap=True).print(table)
    if folder is not None:
        draw(norms, folder / "gradients.png")
    return norms


if __name__ == "__main__":
    main(Path())
