"""The package onnx, imported at first use, and what is said of its nodes and of its errors."""

from __future__ import annotations

from typing import Any

from pyrnn.checks.quoting import quoted

MOST_SAID = 200  # letters of a sentence of another package


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
    return f"the {quoted(node.op_type)[1:-1]} node {quoted(name)}"


def attributes(node: Any) -> dict[str, Any]:
    """A node's attributes by name, text as str; ValueError for one of a type that ONNX does not have."""
    read = onnx_package().helper.get_attribute_value
    try:
        return {attribute.name: _text(read(attribute)) for attribute in node.attribute}
    except ValueError as error:
        raise ValueError(f"{title(node)} has an attribute that cannot be read ({said(error)})") from error


def said(error: Exception) -> str:
    """What an exception of another package says: in one line, short, and printable on any terminal."""
    line = " ".join(str(error)[: 2 * MOST_SAID].split()) or type(error).__name__
    return line[:MOST_SAID].rstrip(". ").encode("unicode_escape").decode("ascii")


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list):
        return [_text(item) for item in value]
    return value
