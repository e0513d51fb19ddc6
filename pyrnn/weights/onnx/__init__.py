"""ONNX models: chains of layers read as a Sequential and written, single recurrent nodes run.

The package onnx is needed: pip install "pyrnn-cpu[onnx]".
"""

from __future__ import annotations

from pyrnn.weights.onnx.exporting import save
from pyrnn.weights.onnx.importing import load
from pyrnn.weights.onnx.node import run_node

__all__ = ["load", "run_node", "save"]
