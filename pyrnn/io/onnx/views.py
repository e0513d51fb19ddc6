"""Views: what Transpose, Squeeze, Reshape and their like make of an array, without moving a number.

Exporters wrap recurrent nodes in such glue (to time-major and back, the axis of directions into that of features). A
`View` says what axes an ONNX value has in terms of the axes of the array that a chain of pyrnn's layers makes; only
where a layer or the output needs another order does `settled` add a Permute, Flatten or Reshape.

An axis is a tuple of `Atom`s: () for an axis of size 1 that holds nothing, two atoms for two axes made one. Free
sizes (batch, time) stand as made-up primes, so that products of sizes have one meaning.
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
    """A part of an axis, known by identity; a Reshape may split it further.

    Attributes:
        free: whether its size is made up.
        name: of a free one in messages, in place of its size.
    """

    def __init__(self, size: int, free: bool = False, name: str = "") -> None:
        self.size, self.free = size, free
        self.name = quoted(name)[1:-1] if name else "free"
        self.parts: tuple[Atom, ...] = ()

    def split(self, first: int) -> tuple[Atom, Atom]:
        """Makes it an outer part of size `first` and an inner one."""
        self.parts = Atom(first, self.free), Atom(self.size // first)
        return self.parts[0], self.parts[1]


Axis = tuple[Atom, ...]


def atoms(axes: Sequence[Axis]) -> list[Atom]:
    """The unsplit atoms of some axes, in order."""
    found: list[Atom] = []
    for axis in axes:
        for atom in axis:
            found += atoms([atom.parts]) if atom.parts else [atom]
    return found


def size(axis: Axis) -> int:
    """The size of an axis."""
    return math.prod(atom.size for atom in axis)


def shown(axes: Sequence[Axis]) -> str:
    """Axes as messages have them: the name, or "free", where there is no size but a made-up one."""
    parts = []
    for axis in axes:
        fixed, names = size(tuple(a for a in axis if not a.free)), [atom.name for atom in axis if atom.free]
        parts.append(" * ".join(names + [str(fixed)] * (fixed != 1 or not names)))
    return f"({', '.join(parts)})"


@dataclass(eq=False)
class Source:
    """An array that the layers so far make: the one before it, and the layers from that to this."""

    axes: tuple[Axis, ...]
    layers: list[Module] = field(default_factory=list)
    before: Source | None = None
    directions: Axis = ()  # of a recurrent node's last states


@dataclass(frozen=True)
class View:
    """What an ONNX value shows of a source.

    `states` are for values made of the last states of recurrent nodes: each a node's source and a direction, in
    order along the axis `stacked`. Their source is None unless they are all of one node's, in order.
    """

    axes: tuple[Axis, ...]
    source: Source | None
    states: tuple[tuple[Source, int], ...] = ()
    stacked: Axis = ()
    integers: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """At the made-up sizes."""
        return tuple(size(axis) for axis in self.axes)

    def moved(self, axes: Sequence[Axis]) -> View:
        """The same numbers with other axes."""
        return replace(self, axes=tuple(axes))


def regrouped(view: View, shape: Sequence[int]) -> list[Axis]:
    """The axes of a view reshaped to a shape of the same number of elements; ValueError if they mix."""
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
    """A view whose source has just its axes: with a Permute and a Reshape or Flatten where there was a difference."""
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
    return replace(view, source=Source(view.axes, layers, source))


def _regroupings(have: list[list[Atom]], want: list[list[Atom]], who: str) -> list[Module]:
    if have == want:
        return []
    front = 0
    while front < min(len(have), len(want)) and have[front] == want[front]:
        front += 1
    back = len(want) - front - 1  # axes behind the one made of several
    joined = [atom for axis in have[front : len(have) - back] for atom in axis]
    if back >= 0 and len(have) > len(want) and joined == want[front] and have[len(have) - back :] == want[front + 1 :]:
        return [nn.Flatten(front, len(have) - back - 1)]
    if front == 0:
        raise ValueError(f"{who} needs a Reshape of the first axis, the batch, which stays in pyrnn.nn.Reshape")
    shape = [-1 if any(atom.free for atom in axis) else size(tuple(axis)) for axis in want[1:]]
    if shape.count(-1) > 1:
        raise ValueError(f"{who} needs a Reshape to two axes of free size")
    return [nn.Reshape(tuple(shape))]


def source_of(view: View, who: str) -> Source:
    """The source of a view, or ValueError for a part of the last states of recurrent nodes."""
    if view.source is None:
        raise ValueError(f"{who} uses a part of the last states (Y_h) of recurrent nodes; only all directions of the "
                         "last one, in order, are taken")  # fmt: skip
    return view.source


def followed(view: View, layers: list[Module], axes: Sequence[Axis], shown: Sequence[Axis], who: str) -> View:
    """What layers make of a view: the axes of their array, and those that the ONNX value has."""
    return View(tuple(shown), Source(tuple(axes), layers, source_of(view, who)))


def chain_of(view: View, who: str) -> list[Any]:
    """All layers from the input to this view."""
    source: Source | None = source_of(view, who)
    found: list[Any] = []
    while source is not None:
        found += source.layers[::-1]
        source = source.before
    return found[::-1]


def axis_of(view: View, axis: int, who: str) -> int:
    """An axis counted from the front; ValueError if there is none."""
    if not -len(view.axes) <= axis < len(view.axes):
        raise ValueError(f"{who} has axis={axis}, and its input has {len(view.axes)} axes")
    return axis % len(view.axes)


def place(view: View, axis: int, who: str) -> int | None:
    """Which axis of the source a view's axis is; None if it is several or a part of one."""
    axes = [atoms([each]) for each in source_of(view, who).axes]
    wanted = atoms([view.axes[axis]])
    return axes.index(wanted) if wanted and wanted in axes else None
