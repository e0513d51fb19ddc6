"""The package onnx, imported at first use, and what is said of its nodes."""

from __future__ import annotations

from typing import Any


def onnx_package() -> Any:
    """The package onnx; ImportError names the extra."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError('.onnx files need the package onnx: pip install "pyrnn-cpu[onnx]"') from error
    return onnx


def title(node: Any) -> str:
    """How a node is called in messages: its operator and its name, or its first output where it has none."""
    name = node.name or next((output for output in node.output if output), "without a name")
    return f"the {node.op_type} node {name[:100]!r}"


def attributes(node: Any) -> dict[str, Any]:
    """A node's attributes by name, text as str."""
    read = onnx_package().helper.get_attribute_value
    return {attribute.name: _text(read(attribute)) for attribute in node.attribute}


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list):
        return [_text(item) for item in value]
    return value
