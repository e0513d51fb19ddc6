"""Reads nodes that only move numbers: views, rows of a table, and the last step of a sequence."""

from __future__ import annotations

import math
from typing import Any

from pyrnn import nn

from .graph import MOST_AXES, Graph, Importer
from .package import title
from .reading import element_dtype
from .views import (
    Atom,
    Axis,
    Origin,
    View,
    atoms,
    axis_of,
    followed,
    place,
    regrouped,
    settled,
    shown,
    size,
    source_of,
)

FAR = 2**31 - 1  # Exporters write at least this for "to the end"; a smaller number may be meant as it stands.


def identity(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads an Identity."""
    return graph.input(node)


def cast(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads a Cast between floats or between integers; all layers of a chain have one dtype."""
    view, given_type = graph.input(node), given.pop("to")
    given.pop("saturate", None)
    dtype = element_dtype(given_type, f"what {title(node)} makes")
    if dtype.kind != ("i" if view.integers else "f"):
        raise ValueError(f"{title(node)} makes {dtype} (data_type {given_type}), another kind of numbers")
    if not view.integers:
        graph.dtypes.add(str(dtype))
    return view


def transpose(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads a Transpose."""
    view = graph.input(node)
    order = given.pop("perm", range(len(view.axes))[::-1])
    if sorted(order) != list(range(len(view.axes))):
        raise ValueError(f"{title(node)} has perm={list(order)} for {len(view.axes)} axes")
    return view.moved([view.axes[i] for i in order])


def squeeze(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads a Squeeze; its axes are an input, or before opset 13 an attribute."""
    view = graph.input(node)
    listed = _listed_axes(graph, node, given)
    axes = [] if listed is None else _places(listed, len(view.axes), title(node))
    if listed is None:
        axes = [i for i, axis in enumerate(view.axes) if size(axis) == 1]
    if any(atoms([view.axes[i]]) for i in axes):
        raise ValueError(f"{title(node)} drops an axis of the input, and not one that another node added")
    return view.moved([axis for i, axis in enumerate(view.axes) if i not in axes])


def unsqueeze(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads an Unsqueeze."""
    view = graph.input(node)
    listed = _listed_axes(graph, node, given)
    if listed is None:
        raise ValueError(f"{title(node)} has no axes")
    count, old = len(view.axes) + len(listed), iter(view.axes)
    places = _places(listed, count, title(node))
    return view.moved([() if i in places else next(old) for i in range(count)])


def _listed_axes(graph: Graph, node: Any, given: dict[str, Any]) -> list[int] | None:
    """Returns the axes of a node, which are an input, or before opset 13 an attribute."""
    stored = graph.weight(node, 1)
    axes = given.pop("axes", None) if stored is None else stored.reshape(-1).tolist()
    return None if axes is None else [int(axis) for axis in axes]


def _places(axes: list[int], count: int, who: str) -> list[int]:
    """Counts axes from the front; raises ValueError if one does not exist or comes twice."""
    if len(axes) > MOST_AXES or not all(-count <= axis < count for axis in axes):
        raise ValueError(f"{who} has axes={axes[:8]}, which {count} axes do not have")
    places = [axis % count for axis in axes]
    if len(set(places)) < len(places):
        raise ValueError(f"{who} has axes={axes}, and names one of {count} axes twice")
    return places


def reshape(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads a Reshape that joins or splits axes."""
    view, target = graph.input(node), graph.shape_value(node, 1)
    if target is None:
        raise ValueError(f"{title(node)} has no shape")
    wanted = [int(length) for length in target.reshape(-1)[: MOST_AXES + 1]]
    if not given.pop("allowzero", 0):
        wanted = [view.shape[i] if n == 0 and i < len(view.shape) else n for i, n in enumerate(wanted)]
    return _reshaped(view, wanted, node)


def flatten(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads a Flatten to two axes."""
    view, axis = graph.input(node), given.pop("axis", 1)
    axis = len(view.axes) if axis == len(view.axes) else axis_of(view, axis, title(node))
    return _reshaped(view, [math.prod(view.shape[:axis]), math.prod(view.shape[axis:])], node)


def _reshaped(view: View, wanted: list[int], node: Any) -> View:
    total, known = math.prod(view.shape), math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) == 1 and known > 0 and total % known == 0:
        wanted = [total // known if n == -1 else n for n in wanted]
    try:
        if math.prod(wanted) != total or any(n < 1 for n in wanted):
            raise ValueError
        return view.moved(regrouped(view, wanted))
    except ValueError:
        text = f"({', '.join('free' if _made_up(n, view) else str(n) for n in wanted)})"
        raise ValueError(f"{title(node)} to {text} mixes the numbers of axes {shown(view.axes)}") from None


def _made_up(number: int, view: View) -> bool:
    """Tells whether a size follows from a made-up one."""
    return number > 1 and any(atom.free and number % atom.size == 0 for atom in atoms(view.axes))


def gather(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads a Gather: of rows of a table by the graph's integers, or of one step of an axis."""
    if graph.constant(node.input[0]):
        return _embedding(graph, node, given)
    view, index = graph.input(node), graph.weight(node, 1)
    axis = axis_of(view, given.pop("axis", 0), title(node))
    if index is None or index.ndim > 1 or index.size != 1:
        raise ValueError(f"{title(node)} takes several elements of an axis; one is supported")
    start, length = int(index.reshape(-1)[0]), view.shape[axis]
    if not -length <= start < length:
        raise ValueError(f"{title(node)} takes element {start} of axis {axis} of {shown(view.axes)}")
    start %= length
    return _picked(view, axis, start, start + 1, index.ndim == 0, node)


def _embedding(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    view, [table] = graph.input(node, 1), graph.weights(node, 0, 1)
    if given.pop("axis", 0) != 0 or table.ndim != 2:
        raise ValueError(f"{title(node)} should take rows (axis=0) of a table of two axes, got shape {table.shape}")
    if not view.integers:
        raise ValueError(f"{title(node)} should have integers as indices, got floats")
    layer = nn.Embedding(*table.shape, dtype=table.dtype, seed=0)
    layer.load_state_dict({"weight": table})
    row = (Atom(table.shape[1]),)
    return followed(view, [layer], [*source_of(view, title(node)).axes, row], [*view.axes, row], title(node))


def slice_(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads a Slice of one axis: all of it, its last step, or some of the recurrent nodes' last states."""
    view = graph.input(node)
    parts = [given.pop(name, None) for name in ("starts", "ends", "axes")]
    if parts[0] is None:
        inputs = [graph.shape_value(node, index) for index in (1, 2, 3, 4)]
        starts, ends, axes, steps = (None if value is None else value.reshape(-1).tolist() for value in inputs)
    else:
        (starts, ends, axes), steps = parts, None
    _check_slice(starts, ends, axes, steps, len(view.axes), title(node))
    for i, (start, end) in enumerate(zip(starts or [], ends or [], strict=True)):
        axis, step = axis_of(view, axes[i] if axes else i, title(node)), steps[i] if steps else 1
        if step not in (1, -1):
            raise ValueError(f"{title(node)} has a step of {step}; 1 and -1 are supported")
        length = view.shape[axis]
        if any(atom.free for atom in atoms([view.axes[axis]])) and any(length < abs(n) < FAR for n in (start, end)):
            raise ValueError(f"{title(node)} cuts axis {axis} of {shown(view.axes)}, which is of free size")
        first, last, _ = slice(start, end, step).indices(length)
        if step == -1:
            view = _turned(view, axis, (first, last), node)
            continue
        view = _picked(view, axis, first, last, False, node)
    return view


def _check_slice(starts: Any, ends: Any, axes: Any, steps: Any, count: int, who: str) -> None:
    lists = {"starts": starts, "ends": ends, "axes": axes, "steps": steps}
    given = {name: value for name, value in lists.items() if value is not None}
    if starts is None or ends is None or len({len(value) for value in given.values()}) > 1:
        lengths = ", ".join(f"{len(value)} {name}" for name, value in given.items())
        raise ValueError(f"{who} should have starts, ends, axes and steps of one length, and has {lengths}")
    _places(list(range(len(starts))) if axes is None else axes, count, who)


def _turned(view: View, axis: int, ends: tuple[int, int], node: Any) -> View:
    who, whole = title(node), (view.shape[axis] - 1, -1)
    if place(view, axis, who) is None:
        view = settled(view, who)
    time = place(view, axis, who)
    if time not in (0, 1) or ends != whole or view.states:
        raise ValueError(f"{who} has a step of -1, which is supported over the whole of the first two axes only")
    return followed(view, [nn.Reverse(batch_first=time == 1)], source_of(view, who).axes, view.axes, who)


def _picked(view: View, axis: int, start: int, end: int, drop: bool, node: Any) -> View:
    """Takes the elements `start` to `end` of an axis, which disappears if `drop` is True."""
    length = view.shape[axis]
    if view.states and view.axes[axis] == view.stacked and 0 <= start < end <= length:
        return _states_picked(view, axis, start, end, drop)
    if (start, end) == (0, length) and not (drop and atoms([view.axes[axis]])):
        return view.moved([*view.axes[:axis], *([] if drop else [view.axes[axis]]), *view.axes[axis + 1 :]])
    if (start, end) != (length - 1, length):
        raise ValueError(
            f"{title(node)} takes a part of axis {axis} of {shown(view.axes)}; all of it, or its last element, can be "
            "taken"
        )
    return _last_step(view, axis, drop, node)


def _last_step(view: View, axis: int, drop: bool, node: Any) -> View:
    who = title(node)
    if place(view, axis, who) is None:
        view = settled(view, who)
    axes, time = source_of(view, who).axes, place(view, axis, who)
    if time not in (0, 1) or len(axes) != 3:
        raise ValueError(f"{who} takes the last element of an axis that is not the time of a sequence")
    shown = [*view.axes[:axis], *([] if drop else [()]), *view.axes[axis + 1 :]]
    return followed(view, [nn.LastStep(batch_first=time == 1)], [axes[1 - time], axes[2]], shown, who)


def _states_picked(view: View, axis: int, start: int, end: int, drop: bool) -> View:
    states = view.states[start:end]
    source, stacked = of_states(states)
    before, after = features(view.states), features(states)
    axes = [tuple(after if atom is before else atom for atom in each) for each in view.axes]
    axes[axis : axis + 1] = [] if drop else [stacked]
    return View(tuple(axes), source, states, stacked)


def features(states: tuple[tuple[Origin, int], ...]) -> Atom:
    """Returns the atom of the size H in a view of states, which is that of its first node."""
    return states[0][0].axes[1][-1]


def of_states(states: tuple[tuple[Origin, int], ...]) -> tuple[Origin | None, Axis]:
    """Returns the source of which these are all last states in order, or None, and the axis that they form."""
    source = states[0][0]
    if [state for state in states if state[0] is source] == list(states):
        count = size(source.directions)
        if [direction for _, direction in states] == list(range(count)):
            return source, source.directions
    return None, (Atom(len(states)),) if len(states) > 1 else ()


def concat(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads a Concat of last states of recurrent nodes, along the axis of directions or of features."""
    views = [graph.input(node, index) for index in range(len(node.input))]
    first, axis = views[0], axis_of(views[0], given.pop("axis"), title(node))
    states = tuple(state for view in views for state in view.states)
    if not all(view.states and len(view.axes) == len(first.axes) for view in views):
        raise ValueError(f"{title(node)} joins two values that depend on the input: the graph is no chain")
    source, stacked = of_states(states)
    kept = [[i for i, each in enumerate(view.axes) if features(view.states) in each] for view in views]
    if any(places != kept[0] for places in kept) or any(size(view.stacked) != len(view.states) for view in views):
        raise ValueError(f"{title(node)} joins states whose axes are in different orders")
    axes = list(first.axes)
    if all(view.axes[axis] == view.stacked and len(view.axes) == 3 for view in views):
        axes[axis] = stacked
    elif all(len(view.states) == 1 and len(view.axes) == 2 for view in views) and kept[0] == [axis]:
        axes[axis] = (*stacked, features(states))
    else:
        raise ValueError(f"{title(node)} joins states along an axis that is neither directions nor features")
    return View(tuple(axes), source, states, stacked)


IMPORTERS: dict[str, Importer] = {
    "Identity": identity,
    "Cast": cast,
    "Transpose": transpose,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Reshape": reshape,
    "Flatten": flatten,
    "Gather": gather,
    "Slice": slice_,
    "Concat": concat,
}
