"""Follows an ONNX graph from its input to its output: each node is evaluated, or becomes layers and views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.checks.budget import Budget
from pyrnn.checks.quoting import quoted

from .folding import Folding
from .package import attributes, said, title
from .reading import element_dtype, to_array
from .views import PRIMES, Atom, Origin, View, source_of

Importer = Callable[["Graph", Any, dict[str, Any]], View | list[View | None]]

MOST_AXES = 64  # A NumPy array has at most this many axes.


class SizeFoundError(Exception):
    """Says which size a node requires of a free input axis; the graph is then followed again with this size."""

    def __init__(self, axis: int, size: int) -> None:
        self.axis, self.size = axis, size


class Graph:
    """Holds what is known of a graph's values while its nodes are followed in order.

    Attributes:
        needed: the names of the values that the output depends on.
        opset: the version of ONNX's operators.
        known: arrays by name: constants, and what follows from them and from made-up shapes.
        probed: the names of the arrays that follow from made-up shapes; weights may not.
        views: the values that depend on the input's numbers, by name.
    """

    def __init__(self, model: Any, budget: Budget, needed: set[str]) -> None:
        self.needed = needed
        self.opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
        self.folding = Folding(self.opset, budget)
        self.stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self.known: dict[str, Array] = {}
        self.probed: set[str] = set()

    def start(self, name: str, view: View, dtype: np.dtype[Any]) -> None:
        """Starts at the graph's input of this name; it keeps what does not depend on the input's shape."""
        self.known = {known: value for known, value in self.known.items() if known not in self.probed}
        self.probed = set()
        self.views = {name: view}
        self.input_axes = view.axes
        # The input and each Cast tell the dtype of floats; a chain of layers has one.
        self.dtypes = {str(dtype)} if dtype.kind == "f" else set()

    def follow(self, node: Any, importers: dict[str, Importer]) -> None:
        """Evaluates a node, or turns its outputs into views.

        Raises:
            ValueError: if a part of the node is not supported; the message names the node.
        """
        try:
            self._follow(node, importers)
        except (SizeFoundError, MemoryError):
            raise
        except ValueError as error:  # A layer raised it, which does not know the node.
            text = str(error)
            raise ValueError(text if "node " in text or "tensor " in text else f"{title(node)}: {text}") from error
        except Exception as error:  # Look-ups and layers raise these for attributes and inputs of wrong types.
            detail = "" if any(str(prime) in said(error) for prime in PRIMES) else f" ({said(error)})"
            raise ValueError(f"{title(node)} is not as its operator asks{detail}") from error

    def _follow(self, node: Any, importers: dict[str, Importer]) -> None:
        names = [name for name in node.input if name]
        if all(self.constant(name) for name in names):
            made_up = bool(self.probed.intersection(names))
            if all(name in self.known for name in node.output if name):
                return  # They were computed before `start` ran again, and are still valid.
            self._keep(node, self.folding.run(node, [self.known[name] for name in names], made_up), names)
        elif node.op_type == "Shape":
            shape, given = self.views[names[0]].shape, attributes(node)
            self._keep(node, [np.array(shape[given.get("start", 0) : given.get("end")], np.int64)], names)
            self.probed.add(node.output[0])
        elif node.op_type in importers:
            given = attributes(node)
            views = importers[node.op_type](self, node, given)
            if given:
                raise ValueError(f"{title(node)} has the attribute {quoted(sorted(given)[0])}, which is not supported")
            for name, view in zip(node.output, [views] if isinstance(views, View) else views, strict=False):
                if name and view is not None:
                    if len(view.axes) > MOST_AXES:
                        raise ValueError(f"{title(node)} makes more than {MOST_AXES} axes")
                    self.views[name] = view
        else:
            raise ValueError(f"{title(node)} is an operator that no layer of pyrnn.nn stands for")

    def learn(self, view: View, axis: int, size: int) -> None:
        """Raises SizeFoundError if an axis that must have this size is a free one of the graph's input."""
        found = view.axes[axis]
        if len(found) == 1 and found[0].free and size > 0 and found in self.input_axes:
            raise SizeFoundError(self.input_axes.index(found), size)

    def _keep(self, node: Any, values: list[Array], names: list[str]) -> None:
        self.known.update(zip(node.output, values, strict=False))
        if self.probed.intersection(names):
            self.probed.update(node.output)

    def constant(self, name: str) -> bool:
        """Tells whether a value does not depend on the input's numbers; its array is then in `known`."""
        if name in self.stored and name not in self.known:
            self.known[name] = to_array(self.stored[name])
        return name in self.known

    def input(self, node: Any, index: int = 0) -> View:
        """Returns an input that depends on the graph's; raises ValueError if it is missing or constant."""
        name = node.input[index] if index < len(node.input) else ""
        if name not in self.views:
            raise ValueError(f"{title(node)}: its input {index} should depend on the graph's input, and does not")
        return self.views[name]

    def weight(self, node: Any, index: int) -> Array | None:
        """Returns a constant input, or None if it is omitted; raises ValueError if it depends on the graph's input."""
        value = self.shape_value(node, index)
        if value is not None and node.input[index] in self.probed:
            raise ValueError(f"{title(node)}: its input {index} depends on the shape of the graph's input")
        return value

    def shape_value(self, node: Any, index: int) -> Array | None:
        """Returns a constant input like `weight`, but it may follow from made-up shapes."""
        name = node.input[index] if index < len(node.input) else ""
        if not name:
            return None
        if not self.constant(name):
            raise ValueError(f"{title(node)}: its input {index}, {quoted(name)}, should be a constant, and depends on "
                             "the graph's input: the graph branches, or takes its states as inputs")  # fmt: skip
        return self.known[name]

    def _said(self, node: Any, index: int) -> str:
        """Describes a constant input for a message."""
        name = node.input[index] if index < len(node.input) else ""
        if not name:
            return f"{index} is missing"
        kind = f" (data_type {self.stored[name].data_type})" if name in self.stored else ""
        return f"{index}, {quoted(name)}, is of {self.known[name].dtype}{kind}"

    def weights(self, node: Any, start: int, count: int) -> list[Array]:
        """Returns constant inputs that have to be there, all float32 or all float64."""
        found = []
        for index in range(start, start + count):
            value = self.weight(node, index)
            if value is None or value.dtype not in (np.float32, np.float64):
                raise ValueError(f"{title(node)}: its input {self._said(node, index)}; expected float32 or float64")
            found.append(value)
        if len({value.dtype for value in found}) > 1:
            raise ValueError(f"{title(node)} has weights of float32 and of float64")
        return found


def input_view(value: Any, rank: int, learned: dict[int, int]) -> tuple[View, np.dtype[Any]]:
    """Returns the view and the dtype of a graph's input.

    Args:
        value: the onnx.ValueInfoProto of the input.
        rank: the number of its axes if the file does not tell it.
        learned: the sizes that nodes told for free axes, by axis.
    """
    who, kind = f"its input {quoted(value.name)}", value.type.tensor_type
    dims = [(dim.dim_value, dim.dim_param, not dim.HasField("dim_value")) for dim in kind.shape.dim]
    if not kind.HasField("shape"):
        dims = [(0, "", True)] * rank
    dims = [(learned[i], "", False) if i in learned else dim for i, dim in enumerate(dims)]
    if len(dims) > MOST_AXES or sum(free for *_, free in dims) > len(PRIMES):
        raise ValueError(f"{who} has more than {MOST_AXES} axes, or more than {len(PRIMES)} free ones")
    dtype = element_dtype(kind.elem_type, who)
    if dtype not in (np.float32, np.float64, np.int32, np.int64):
        raise ValueError(f"{who} is {dtype} (data_type {kind.elem_type}); expected float32, float64, int32 or int64")
    if any(length < 1 and not free for length, _, free in dims):
        raise ValueError(f"{who} has an axis of size 0, or of a negative size")
    primes = iter(PRIMES)
    axes = tuple((Atom(next(primes) if free else length, free, name),) for length, name, free in dims)
    return View(axes, Origin(axes), integers=dtype.kind == "i"), dtype


def floats(view: View, who: str) -> Origin:
    """Returns the source of a view of floats; raises ValueError if it has integers."""
    if view.integers:
        raise ValueError(f"{who} should have an input of floats, got integers")
    return source_of(view, who)
