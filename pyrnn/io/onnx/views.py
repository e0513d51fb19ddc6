"""Describes what Transpose, Squeeze, Reshape and the like make of an array, without moving numbers.

Exporters surround recurrent nodes with such nodes: to time-major order and back, and to join the axis of directions
with that of features. A `View` expresses the axes of an ONNX value by the axes of the array that pyrnn's layers
compute. `settled` adds a Permute, Flatten or Reshape only where a layer or the output needs another order.

An axis is a tuple of `Atom`s: () is an axis of size 1 that was inserted, and two atoms are two axes joined. Free sizes
(batch, time) are replaced by made-up primes, so that a product of sizes tells its factors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pyrnn import nn
from pyrnn.checks.quoting import quoted
from pyrnn.core.module import Module

PRIMES = (1009, 1013, 1019, 1021, 1031, 1033)


class Atom:
    """Represents a part of an axis, which is compared by identity; a Reshape may split it further.

    Attributes:
        size: the number of its elements.
        free: whether the size is made up.
        name: the name of a free axis, which messages show in place of its size.
        parts: the outer and the inner part after a split, else ().
    """

    def __init__(self, size: int, free: bool = False, name: str = "") -> None:
        self.size, self.free = size, free
        self.name = quoted(name)[1:-1] if name else "free"
        self.parts: tuple[Atom, ...] = ()

    def split(self, first: int) -> tuple[Atom, Atom]:
        """Splits it into an outer part of size `first` and an inner one."""
        self.parts = Atom(first, self.free), Atom(self.size // first)
        return self.parts[0], self.parts[1]


Axis = tuple[Atom, ...]


def atoms(axes: Sequence[Axis]) -> list[Atom]:
    """Returns the unsplit atoms of some axes, in order."""
    found: list[Atom] = []
    for axis in axes:
        for atom in axis:
            found += atoms([atom.parts]) if atom.parts else [atom]
    return found


def size(axis: Axis) -> int:
    """Returns the size of an axis."""
    return math.prod(atom.size for atom in axis)


def shown(axes: Sequence[Axis]) -> str:
    """Shows axes in messages; a free axis appears by its name, or as "free"."""
    parts = []
    for axis in axes:
        fixed, names = size(tuple(a for a in axis if not a.free)), [atom.name for atom in axis if atom.free]
        parts.append(" * ".join(names + [str(fixed)] * (fixed != 1 or not names)))
    return f"({', '.join(parts)})"


@dataclass(eq=False)
class Origin:
    """Represents an array that `layers` compute from the array `before`, or the input of the graph."""

    axes: tuple[Axis, ...]
    layers: list[Module] = field(default_factory=list)
    before: Origin | None = None
    directions: Axis = ()  # These are the directions of a recurrent node's last states.


@dataclass(frozen=True)
class View:
    """Describes an ONNX value by the axes of a source.

    If the value is made of last states of recurrent nodes, `states` has a node's source and a direction for each, in
    order along the axis `stacked`. `source` is then None unless they are all states of one node, in order.
    """

    axes: tuple[Axis, ...]
    source: Origin | None
    states: tuple[tuple[Origin, int], ...] = ()
    stacked: Axis = ()
    integers: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Returns the shape with the made-up sizes."""
        return tuple(size(axis) for axis in self.axes)

    def moved(self, axes: Sequence[Axis]) -> View:
        """Returns the same numbers with other axes."""
        return replace(self, axes=tuple(axes))


def regrouped(view: View, shape: Sequence[int]) -> list[Axis]:
    """Returns a view's axes after a Reshape to a shape of as many elements; raises ValueError if it mixes axes."""
    left, found = atoms(view.axes), []
    for wanted in shape:
        axis: list[Atom] = []
        while size(tuple(axis)) < wanted or (wanted == 1 and not axis and left and left[0].size == 1):
            if not left or wanted % size(tuple(axis)):
                raise ValueError
            need = wanted // size(tuple(axis))
            atom = left.pop(0)
            if atom.size > need and atom.size % need == 0:
                atom, rest = atom.split(need)
                left.insert(0, rest)
            axis.append(atom)
        if size(tuple(axis)) != wanted:
            raise ValueError
        found.append(tuple(axis))
    if any(atom.size != 1 for atom in left):
        raise ValueError
    if left:
        found[-1] += tuple(left)
    return found


def settled(view: View, who: str) -> View:
    """Returns a view whose source has the view's axes; adds a Permute, Reshape or Flatten if they differ."""
    source = source_of(view, who)
    have, want = [atoms([axis]) for axis in source.axes], atoms(view.axes)
    places = [want.index(axis[0]) if axis and axis[0] in want else -1 for axis in have]
    order = sorted(range(len(have)), key=lambda i: places[i])
    flat = [atom for i in order for atom in have[i]]
    if flat != want:
        raise ValueError(f"{who} needs an order of the numbers that Permute and Reshape cannot give")
    layers: list[Module] = [] if order == list(range(len(order))) else [nn.Permute(tuple(order))]
    layers += _regroupings([have[i] for i in order], [atoms([axis]) for axis in view.axes], who)
    if not layers:
        return view
    return replace(view, source=Origin(view.axes, layers, source))


def _regroupings(have: list[list[Atom]], want: list[list[Atom]], who: str) -> list[Module]:
    if have == want:
        return []
    front = 0
    while front < min(len(have), len(want)) and have[front] == want[front]:
        front += 1
    back = len(want) - front - 1  # The joined axis is followed by this many.
    joined = [atom for axis in have[front : len(have) - back] for atom in axis]
    if back >= 0 and len(have) > len(want) and joined == want[front] and have[len(have) - back :] == want[front + 1 :]:
        return [nn.Flatten(front, len(have) - back - 1)]
    if front == 0:
        raise ValueError(f"{who} needs a Reshape of the first axis, the batch, which stays in pyrnn.nn.Reshape")
    shape = [-1 if any(atom.free for atom in axis) else size(tuple(axis)) for axis in want[1:]]
    if shape.count(-1) > 1:
        raise ValueError(f"{who} needs a Reshape to two axes of free size")
    return [nn.Reshape(tuple(shape))]


def source_of(view: View, who: str) -> Origin:
    """Returns the source of a view; raises ValueError for a part of the last states of recurrent nodes."""
    if view.source is None:
        raise ValueError(f"{who} uses a part of the last states (Y_h) of recurrent nodes; only all directions of the "
                         "last one, in order, are taken")  # fmt: skip
    return view.source


def followed(view: View, layers: list[Module], axes: Sequence[Axis], shown: Sequence[Axis], who: str) -> View:
    """Returns the view behind layers: `axes` are those of their array, `shown` those of the ONNX value."""
    return View(tuple(shown), Origin(tuple(axes), layers, source_of(view, who)))


def chain_of(view: View, who: str) -> list[Any]:
    """Returns all layers from the input to this view."""
    source: Origin | None = source_of(view, who)
    found: list[Any] = []
    while source is not None:
        found += source.layers[::-1]
        source = source.before
    return found[::-1]


def axis_of(view: View, axis: int, who: str) -> int:
    """Counts an axis from the front; raises ValueError if it does not exist."""
    if not -len(view.axes) <= axis < len(view.axes):
        raise ValueError(f"{who} has axis={axis}, and its input has {len(view.axes)} axes")
    return axis % len(view.axes)


def place(view: View, axis: int, who: str) -> int | None:
    """Returns the source's axis that a view's axis is; None if it is several axes or a part of one."""
    axes = [atoms([each]) for each in source_of(view, who).axes]
    wanted = atoms([view.axes[axis]])
    return axes.index(wanted) if wanted and wanted in axes else None
