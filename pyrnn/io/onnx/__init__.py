"""Reads chains of layers from ONNX models as a Sequential, writes them, and runs single recurrent nodes.

It needs the package onnx: pip install "pyrnn-cpu[onnx]".

Source: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from .exporting import save
from .importing import load
from .node import run_node

__all__ = ["load", "run_node", "save"]
