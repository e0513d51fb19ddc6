"""Evaluates, with onnx.reference, the nodes of a graph that do not depend on the input's numbers.

Exporters write weights as chains of Slice and Concat over the original arrays, and make initial states with the size
of the batch. Both are evaluated here, the latter with one made-up size for each free axis (see views.py).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.checks.budget import Budget

from .package import attributes, onnx_package, said, title
from .reading import element_dtype, to_array

# The results of these operators are no larger than their inputs; `_size` bounds those of the others.
SMALL = (
    *("Cast", "Constant", "Flatten", "Identity", "Neg", "Reshape", "Shape", "Size", "Slice", "Split", "Sqrt"),
    *("Squeeze", "Transpose", "Unsqueeze"),
)
BROADCAST = ("Add", "Sub", "Mul", "Div", "Equal", "Where")
FOLDED = (*SMALL, *BROADCAST, "Concat", "ConstantOfShape", "Expand", "Gather")
LEAST = 256  # A node counts for at least this many bytes, however small its result is, because each takes time.


class Folding:
    """Evaluates nodes of constants, within one budget for all results."""

    def __init__(self, opset: int, budget: Budget) -> None:
        self.opset, self.budget = opset, budget

    def run(self, node: Any, inputs: list[Array], made_up: bool = False) -> list[Array]:
        """Evaluates a node.

        Args:
            node: an onnx.NodeProto.
            inputs: an array for each input that the node names.
            made_up: whether the inputs follow from made-up sizes, which no message may show.

        Returns:
            The outputs of the node.

        Raises:
            ValueError: if the operator is not in FOLDED, its result would be too large, or it fails.
        """
        who = title(node)
        if node.op_type not in FOLDED:
            raise ValueError(f"{who} computes a constant by an operator that is not folded")
        if node.op_type == "Cast":
            element_dtype(attributes(node).get("to", 0), f"what {who} makes")
        for attribute in node.attribute:
            if attribute.HasField("t"):
                to_array(attribute.t, f"the tensor of {who}")
        try:
            count = _size(node, inputs)
        except Exception as error:  # NumPy raises many kinds of errors for wrong shapes and axes.
            raise _failed(who, error, made_up) from error
        itemsize = max((value.itemsize for value in inputs), default=8)
        if made_up and LEAST + itemsize * count > self.budget.left:
            raise ValueError(f"{who} makes more than this file may take. If you trust it, raise limit=")
        self.budget.spend(LEAST + itemsize * count, f"the result of {who}")
        try:
            results = self._evaluate(node, inputs)
        # The reference operators raise many kinds of errors for wrong types, shapes and axes.
        except Exception as error:
            raise _failed(who, error, made_up) from error
        return [np.asarray(result) for result in results]

    def _evaluate(self, node: Any, inputs: list[Array]) -> list[Array]:
        onnx = onnx_package()
        from onnx.reference import ReferenceEvaluator

        names = [name for name in node.input if name]
        unknown = onnx.helper.make_empty_tensor_value_info
        graph = onnx.helper.make_graph(
            [node], "fold", [unknown(name) for name in dict.fromkeys(names)], [unknown(name) for name in node.output]
        )
        feeds = dict(zip(names, inputs, strict=True))
        with np.errstate(all="ignore"):
            return list(ReferenceEvaluator(graph, opsets={"": self.opset}).run(None, feeds))


def _failed(who: str, error: Exception, made_up: bool) -> ValueError:
    if made_up:
        return ValueError(f"{who} cannot be evaluated: its inputs follow from the axes of the graph's and do not fit")
    return ValueError(f"{who} cannot be evaluated ({said(error)})")


def _size(node: Any, inputs: list[Array]) -> int:
    """Returns an upper bound of the number of elements in a node's results."""
    sizes = [value.size for value in inputs]
    match node.op_type:
        case "ConstantOfShape":
            return math.prod(max(int(length), 0) for length in inputs[0].reshape(-1))
        case "Expand":
            target = [max(int(length), 1) for length in inputs[1].reshape(-1)]
            return _broadcast(inputs[0].shape, target)
        case "Gather":
            axis = attributes(node).get("axis", 0)
            return int(sizes[1] * sizes[0] // max(inputs[0].shape[axis], 1))
        case name if name in BROADCAST:
            return _broadcast(*(value.shape for value in inputs))
    return sum(sizes)


def _broadcast(*shapes: Any) -> int:
    """Counts the elements of broadcast shapes, also where a size is too large for np.broadcast_shapes."""
    longest = max(map(len, shapes))
    wide = [[1] * (longest - len(shape)) + list(shape) for shape in shapes]
    sizes = [set(axis) - {1} or {1} for axis in zip(*wide, strict=True)]
    if any(len(axis) > 1 for axis in sizes):
        raise ValueError(f"shapes {', '.join(str(tuple(shape)) for shape in shapes)} do not fit")
    return math.prod(axis.pop() for axis in sizes)
