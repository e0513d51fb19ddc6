"""Defines what `verify` returns, and prints it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from pyrnn.checks.quoting import brief


@dataclass(frozen=True)
class LayerReport:
    """Reports on one layer.

    Attributes:
        name: its name in the model.
        kind: its class in the other library.
        largest: the largest absolute difference of its output; NaN if only one of the two outputs has a NaN.
        agrees: whether all of its output is within the tolerance.
    """

    name: str
    kind: str
    largest: float
    agrees: bool


@dataclass(frozen=True)
class Difference:
    """Says where two computations first differ.

    Attributes:
        layer: the name of the first layer whose output differs.
        step: the first step that differs, counted from the front of the sequence; None without a time axis.
        direction: "forward" or "reverse" in a recurrent layer, else None.
        gate: the first gate, or state c or h, that differs at that step; None if no gate does, or none is known.
        gates: all gates and states that differ at that step.
        row: the place in the batch.
        unit: the place in the last axis.
        here: pyrnn's number there, which is the one that differs most.
        there: the other library's number.
    """

    layer: str
    step: int | None
    direction: str | None
    gate: str | None
    gates: tuple[str, ...]
    row: int
    unit: int
    here: float
    there: float

    def sentence(self, against: str) -> str:
        """Says where it is and gives the two numbers; `against` is the other library."""
        where = [f"layer {brief(self.layer)}"]
        where += ["reverse direction"] if self.direction == "reverse" else []
        where += [f"step {self.step}"] if self.step is not None else []
        where += (
            [f"gate {self.gate}" if self.gate not in ("c", "h") else f"state {self.gate}"] if self.gate else ["output"]
        )
        others = [name for name in self.gates if name != self.gate]
        also = f"; {', '.join(others)} differ there too" if others else ""
        numbers = f"{self.here:.7g} in pyrnn, {self.there:.7g} in {against}, {abs(self.here - self.there):.2g} apart"
        return f"the first difference is in {', '.join(where)} (row {self.row}, unit {self.unit}: {numbers}{also})"


@dataclass(frozen=True)
class Report:
    """Holds what `verify` found.

    Attributes:
        model: the path of the file.
        against: the library that it was compared with.
        tolerance: the smallest difference that counts, as in `verify`.
        layers: the reports on the layers, in order.
        first: the first difference; None if there is none.
    """

    model: str
    against: str
    tolerance: float
    layers: list[LayerReport]
    first: Difference | None

    @property
    def agrees(self) -> bool:
        """Tells whether every layer agrees."""
        return self.first is None

    def as_dict(self) -> dict[str, Any]:
        """Returns the report as a dict of JSON's types."""
        return {"agrees": self.agrees, **asdict(self)}

    def __str__(self) -> str:
        """Says the result in one sentence."""
        if self.first is None:
            largest = max((layer.largest for layer in self.layers), default=0.0)
            return f"{self.model} agrees with {self.against} to {largest:.2g}"
        return f"{self.model} differs from {self.against}: {self.first.sentence(self.against)}"


def print_json(report: Report) -> None:
    """Prints one JSON object; a number that is not finite becomes null."""
    text = json.dumps(report.as_dict())
    print(json.dumps(json.loads(text, parse_constant=lambda name: None)))


def print_tables(report: Report) -> None:
    """Prints a table of the layers and the sentence under it."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("layer", "type", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("largest difference", justify="right")
    for layer in report.layers:
        largest = f"{layer.largest:.1e}"
        table.add_row(escape(layer.name), escape(layer.kind), largest if layer.agrees else f"[bold red]{largest}[/]")
    console = Console(highlight=False)
    console.print(table)
    console.print(escape(str(report)), soft_wrap=True)
