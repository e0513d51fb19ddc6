"""The part of a graph that does not depend on the input: evaluated node by node by onnx.reference.

Exporters leave weights as chains of Slice and Concat over the original arrays, and make initial states of the size
of the batch. Both are followed here; the latter at one made-up size of each free axis (see chain.py).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyrnn.module import Array
from pyrnn.weights.onnx.package import attributes, onnx_package, title

# Their results are no larger than their inputs; of the others the size is foreseen by `_size`.
SMALL = (
    *("Cast", "Constant", "Flatten", "Identity", "Neg", "Reshape", "Shape", "Size", "Slice", "Split", "Sqrt"),
    *("Squeeze", "Transpose", "Unsqueeze"),
)
BROADCAST = ("Add", "Sub", "Mul", "Div", "Equal", "Where")
FOLDED = (*SMALL, *BROADCAST, "Concat", "ConstantOfShape", "Expand", "Gather")


class Folding:
    """Evaluates nodes of constants, within an allowance of bytes for all results together."""

    def __init__(self, opset: int, allowed: int) -> None:
        self.opset, self.allowed = opset, allowed

    def run(self, node: Any, inputs: list[Array]) -> list[Array]:
        """The outputs of a node, for arrays for each of the inputs that it names.

        Raises:
            ValueError: if the operator is not among FOLDED, its result would be too large, or it fails.
        """
        if node.op_type not in FOLDED:
            raise ValueError(f"{title(node)} computes a constant by an operator that is not folded")
        itemsize = max((value.itemsize for value in inputs), default=8)
        try:
            self.allowed -= 8 * itemsize + itemsize * _size(node, inputs)
            if self.allowed < 0:
                raise ValueError("its result would take more than 64 times the size of the file")
            results = self._evaluate(node, inputs)
        except Exception as error:  # whatever the reference operators raise at wrong types, shapes and axes
            raise ValueError(f"{title(node)} cannot be evaluated ({str(error)[:200]})") from error
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


def _size(node: Any, inputs: list[Array]) -> int:
    """Elements that a node's results have, or more."""
    sizes = [value.size for value in inputs]
    match node.op_type:
        case "ConstantOfShape":
            return math.prod(max(int(length), 0) for length in inputs[0])
        case "Expand":
            target = [max(int(length), 1) for length in inputs[1]]
            return math.prod(np.broadcast_shapes(inputs[0].shape, tuple(target)))
        case "Gather":
            axis = attributes(node).get("axis", 0)
            return int(sizes[1] * sizes[0] // max(inputs[0].shape[axis], 1))
        case name if name in BROADCAST:
            return math.prod(np.broadcast_shapes(*(value.shape for value in inputs)))
    return sum(sizes)
