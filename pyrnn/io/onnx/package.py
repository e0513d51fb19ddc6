"""Imports the package onnx at its first use, and describes its nodes and errors in messages."""

from __future__ import annotations

from typing import Any

from pyrnn.checks.quoting import quoted

MOST_SAID = 200  # A message shows at most this many letters of another package's sentence.


def onnx_package() -> Any:
    """Returns the package onnx; raises ImportError, which names the extra, if it is not installed."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError('.onnx files need the package onnx: pip install "pyrnn-cpu[onnx]"') from error
    return onnx


def title(node: Any) -> str:
    """Names a node in messages by its operator and its name, or by its first output if it has no name."""
    name = node.name or next((output for output in node.output if output), "without a name")
    return f"the {quoted(node.op_type)[1:-1]} node {quoted(name)}"


def attributes(node: Any) -> dict[str, Any]:
    """Returns a node's attributes by name, texts as str; raises ValueError for a type that ONNX does not have."""
    read = onnx_package().helper.get_attribute_value
    try:
        return {attribute.name: _text(read(attribute)) for attribute in node.attribute}
    except ValueError as error:
        raise ValueError(f"{title(node)} has an attribute that cannot be read ({said(error)})") from error


def said(error: Exception) -> str:
    """Returns the text of another package's exception in one short line that any terminal can print."""
    line = " ".join(str(error)[: 2 * MOST_SAID].split()) or type(error).__name__
    return line[:MOST_SAID].rstrip(". ").encode("unicode_escape").decode("ascii")


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list):
        return [_text(item) for item in value]
    return value
