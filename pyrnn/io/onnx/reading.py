"""Parses untrusted ONNX files and reads their arrays, or raises ValueError before it allocates memory for them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.checks.budget import Budget
from pyrnn.checks.quoting import quoted
from pyrnn.weights.kinds import HEAD, folder, foreign

from .package import onnx_package, said, title

MAX_SIZE = 2**31 - 1  # A protobuf message has at most this many bytes.
MOST_NODES = 10_000  # Exported chains have up to a few thousand nodes; folding 10,000 takes 4 s.
KEYS = {"location", "offset", "length", "checksum", "basepath"}  # These are the keys of external data.


def read_model(path: str, budget: Budget) -> Any:
    """Reads the onnx.ModelProto in a file with its external data, and checks it with the package onnx.

    Raises:
        ValueError: if it is not a sound ONNX model, has functions or operators that are not ONNX's own, or names
            external data outside its folder or beyond the budget.
    """
    if why := folder(path):
        raise ValueError(why)
    onnx = onnx_package()
    if os.path.getsize(path) > MAX_SIZE:
        raise ValueError("it is larger than 2 GiB, which no ONNX file can be")
    data = Path(path).read_bytes()
    if refusal := foreign(data[:HEAD]):
        raise ValueError(refusal)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # It is protobuf's DecodeError, whose module differs between implementations.
        raise ValueError(f"it is no ONNX file ({said(error)})") from error
    try:
        _check_operators(model)
        _load_external_data(onnx, model, path, budget)
    except UnicodeDecodeError as error:
        raise ValueError("one of its names is no text in UTF-8") from error
    with _given_shapes(model):
        try:
            onnx.checker.check_model(model)
        except Exception as error:  # It may be ValidationError, RuntimeError, ValueError, DecodeError ...
            raise ValueError(f"it is no sound ONNX model ({said(error)})") from error
    return model


def _check_operators(model: Any) -> None:
    if len(model.functions):
        raise ValueError(f"it defines a function of its own, {quoted(model.functions[0].name)}; inline it first")
    if len(model.graph.sparse_initializer):
        raise ValueError("it has sparse initializers; store them dense")
    if len(model.graph.node) > MOST_NODES:
        raise ValueError(f"it has {len(model.graph.node)} nodes; at most {MOST_NODES} are followed")
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise ValueError(f"{title(node)} is of the domain {quoted(node.domain)}; only ONNX's own are run")
        for attribute in node.attribute:
            if attribute.HasField("g") or len(attribute.graphs):
                raise ValueError(f"{title(node)} has a graph in its attribute {quoted(attribute.name)}; none are run")


@contextmanager
def _given_shapes(model: Any) -> Iterator[None]:
    """Gives inputs and outputs a shape inside the block: onnx's checker requires one, ONNX Runtime does not."""
    changed = []
    for value in (*model.graph.input, *model.graph.output):
        kind = value.type.tensor_type
        if value.type.WhichOneof("value") in (None, "tensor_type") and not kind.HasField("shape"):
            kind.elem_type = kind.elem_type or onnx_package().TensorProto.FLOAT
            kind.shape.SetInParent()
            changed.append(kind)
    try:
        yield
    finally:
        for kind in changed:
            kind.ClearField("shape")


def _tensors(model: Any) -> Iterator[Any]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _load_external_data(onnx: Any, model: Any, path: str, budget: Budget) -> None:
    """Reads arrays from other files; onnx itself refuses files outside the folder, and links."""
    folder, seen = os.path.dirname(os.path.abspath(path)), set()
    for tensor in _tensors(model):
        if not onnx.external_data_helper.uses_external_data(tensor):
            continue
        what = f"external data of {quoted(tensor.name)}"
        unknown = {entry.key for entry in tensor.external_data} - KEYS
        if unknown:
            raise ValueError(f"{what} have an unknown key, {quoted(unknown.pop())}")
        try:
            info = onnx.external_data_helper.ExternalDataInfo(tensor)
            size = os.path.getsize(os.path.join(folder, info.location))
            if info.location not in seen:
                seen.add(info.location)
                # The other file belongs to the model, so its length raises the budget.
                budget.total, budget.left = budget.total + size, budget.left + size
            budget.spend(info.length or max(size - (info.offset or 0), 0), what)
            onnx.external_data_helper.load_external_data_for_tensor(tensor, folder)
        except (onnx.checker.ValidationError, OSError, RuntimeError, TypeError, ValueError) as error:
            if what in str(error):
                raise
            raise ValueError(f"{what} cannot be read ({said(error)})") from error


def element_dtype(number: int, what: str) -> np.dtype[Any]:
    """Returns NumPy's dtype of ONNX's data_type; raises ValueError, which names `what`, if it is unknown."""
    try:
        dtype: np.dtype[Any] = np.dtype(onnx_package().helper.tensor_dtype_to_np_dtype(number))
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{what} is of data_type {number}, which ONNX does not have") from None
    return dtype


def to_array(tensor: Any, what: str = "") -> Array:
    """Returns the array of an onnx.TensorProto; `what` names it in messages, by default by its own name."""
    what = what or f"the tensor {quoted(tensor.name)}"
    dtype, shape = element_dtype(tensor.data_type, what), list(tensor.dims)
    count = math.prod(shape)
    if any(size < 0 for size in shape) or len(shape) > 64:
        raise ValueError(f"{what} has axes that no array has, {shape[:8]}")
    plain = dtype.kind in "biufc" and dtype.isbuiltin == 1  # In other dtypes two or four elements may share a byte.
    if plain and tensor.HasField("raw_data") and len(tensor.raw_data) != count * dtype.itemsize:
        raise ValueError(
            f"{what} of shape {shape[:8]} and data_type {tensor.data_type} should hold {count * dtype.itemsize} bytes "
            f"and holds {len(tensor.raw_data)}"
        )
    try:
        array: Array = onnx_package().numpy_helper.to_array(tensor)
    # onnx and NumPy raise many kinds of errors for fields of wrong lengths and numbers out of range.
    except Exception as error:
        raise ValueError(f"{what} of data_type {tensor.data_type} is damaged ({said(error)})") from error
    return array
