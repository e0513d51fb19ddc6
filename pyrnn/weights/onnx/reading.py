"""An ONNX file from a stranger: parsed, checked and its arrays read, or a ValueError before memory is taken."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyrnn.module import Array
from pyrnn.weights.archive import allowance
from pyrnn.weights.onnx.package import onnx_package, title

MAX_SIZE = 2**31 - 1  # bytes of a protobuf message
KEYS = {"location", "offset", "length", "checksum", "basepath"}  # of external data


def read_model(path: str) -> Any:
    """The onnx.ModelProto in a file, with its external data, checked by the package onnx.

    Raises:
        ValueError: if it is no sound ONNX model, holds functions or operators that are not ONNX's own, or names
            external data outside its folder.
    """
    onnx = onnx_package()
    if os.path.getsize(path) > MAX_SIZE:
        raise ValueError("it is larger than 2 GiB, which no ONNX file can be")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(Path(path).read_bytes())
    except Exception as error:  # protobuf's DecodeError: its module differs between its implementations
        raise ValueError(f"it is no ONNX file ({error})") from error
    _check_operators(model)
    _load_external_data(onnx, model, path)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, RuntimeError, ValueError) as error:
        raise ValueError(f"it is no sound ONNX model ({str(error).splitlines()[0][:300]})") from error
    return model


def _check_operators(model: Any) -> None:
    if len(model.functions):
        raise ValueError(f"it defines a function of its own, {model.functions[0].name[:100]!r}; inline it first")
    if len(model.graph.sparse_initializer):
        raise ValueError("it has sparse initializers; store them dense")
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise ValueError(f"{title(node)} is of the domain {node.domain[:100]!r}; only ONNX's own are run")
        for attribute in node.attribute:
            if attribute.HasField("g") or len(attribute.graphs):
                raise ValueError(f"{title(node)} has a graph in its attribute {attribute.name!r}; none are run")


def _tensors(model: Any) -> Iterator[Any]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _load_external_data(onnx: Any, model: Any, path: str) -> None:
    """Reads what stands in other files; onnx itself refuses those outside the folder, and links."""
    folder, allowed, seen = os.path.dirname(os.path.abspath(path)), allowance(path), set()
    for tensor in _tensors(model):
        if not onnx.external_data_helper.uses_external_data(tensor):
            continue
        unknown = {entry.key for entry in tensor.external_data} - KEYS
        if unknown:
            raise ValueError(f"external data of {tensor.name[:100]!r} have an unknown key, {unknown.pop()[:100]!r}")
        try:
            location = onnx.external_data_helper.ExternalDataInfo(tensor).location
            onnx.external_data_helper.load_external_data_for_tensor(tensor, folder)
        except (onnx.checker.ValidationError, OSError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(f"external data of {tensor.name[:100]!r} cannot be read ({str(error)[:300]})") from error
        if location not in seen:
            seen.add(location)
            allowed += os.path.getsize(os.path.join(folder, location))
        allowed -= len(tensor.raw_data)
        if allowed < 0:
            raise ValueError("its tensors share external data and would take more than 64 times the size of the file")


def to_array(tensor: Any) -> Array:
    """The array of an onnx.TensorProto."""
    onnx = onnx_package()
    try:
        array: Array = onnx.numpy_helper.to_array(tensor)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the tensor {tensor.name[:100]!r} is damaged ({str(error)[:200]})") from error
    return array
