"""The report of `accelerate`, which prints as a table and says why nothing was swapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from .coverage import DTYPES
from .drop_in import DropIn

NOTHING = (
    "none of the model's {count} modules is one of torch's RNN, LSTM, GRU, RNNCell, LSTMCell and GRUCell: a "
    "recurrence written with other modules, or with functions, stays as it is"
)
QUANTIZED = "it is quantized; the kernels take torch's float modules, so leave it out of quantization"
EXPORTED = "its graph of single operators has {what}; accelerate the model before torch.export or make_fx"
RECURRENT = ("rnn_tanh", "rnn_relu", "lstm", "gru")


@dataclass(frozen=True)
class AccelerateReport:
    """The result of `accelerate`; `print` shows it as a table.

    Attributes:
        model: the model with the drop-ins in it.
        swapped: the new class of each module that was swapped, by its name in the model ("" is the model itself).
        left: the reason why a recurrent module was left as it is, by its name.
        already: the class of each module that was a drop-in before the call.
        notes: of swapped modules, why torch runs their calls as things stand, by name: another device or dtype.
        nothing: what `print` says of a model in which no module is recurrent.
    """

    model: nn.Module = field(repr=False)
    swapped: dict[str, str]
    left: dict[str, str]
    already: dict[str, str] = field(default_factory=dict, repr=False)
    notes: dict[str, str] = field(default_factory=dict, repr=False)
    nothing: str = field(default=NOTHING, repr=False)

    def __str__(self) -> str:
        rows = [(name, "swapped", made + self.note(name)) for name, made in self.swapped.items()]
        rows += [(name, "swapped before", made + self.note(name)) for name, made in self.already.items()]
        rows += [(name, "left", reason) for name, reason in self.left.items()]
        if not rows:
            count = sum(1 for _ in self.model.modules())
            return f"Nothing was swapped: {self.nothing.format(count=count)}."
        head = f"{len(self.swapped) or 'None'} of {len(rows)} recurrent modules swapped:\n"
        return head + table([(name or "(the model)", what, why) for name, what, why in rows])

    def note(self, name: str) -> str:
        return f"; {self.notes[name]}" if name in self.notes else ""


def report_of(model: nn.Module, swapped: dict[str, str], left: dict[str, str]) -> AccelerateReport:
    """Makes the report of a model in which `swapped` names the modules that were just swapped."""
    already, notes = {}, {}
    for name, module in model.named_modules():
        if not isinstance(module, DropIn):
            continue
        if name not in swapped:
            already[name] = type(module).__name__
        if note := hindrance(module):
            notes[name] = note
    for name, module in model.named_modules():
        if reason := converted(module):
            left.setdefault(name, reason)
    return AccelerateReport(model, swapped, left, already, notes)


def hindrance(module: nn.Module) -> str | None:
    """Says why torch runs all calls of a drop-in as it is."""
    for weight in module.parameters():
        if weight.device.type != "cpu":
            return f"its weights are on {weight.device}: torch runs its calls until it is on the CPU"
        if weight.dtype not in DTYPES:
            return f"its weights are of {weight.dtype}: torch runs its calls until they are of float32 or float64"
    return None


def converted(module: nn.Module) -> str | None:
    """Says what a module was converted to, if it computed a recurrence before."""
    kind = type(module)
    if ".quantized." in f"{kind.__module__}." and any(part in kind.__name__ for part in ("RNN", "LSTM", "GRU")):
        return QUANTIZED
    if isinstance(module, torch.fx.GraphModule):
        called = {str(node.target).rpartition(".")[0] for node in module.graph.nodes if node.op == "call_function"}
        operators = [f"torch.ops.aten.{name}" for name in RECURRENT if f"aten.{name}" in called]
        if operators:
            return EXPORTED.format(what=" and ".join(operators))
    return None


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Aligns rows of texts in columns, those numbered in `right` to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = (cell.rjust(width) if i in right else cell.ljust(width)
                 for i, (cell, width) in enumerate(zip(row, widths, strict=True)))  # fmt: skip
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
