"""ONNX models: chains of layers read as a Sequential and written, single recurrent nodes run.

The package onnx is needed: pip install "pyrnn-cpu[onnx]".
"""

from __future__ import annotations

from .exporting import save
from .importing import load
from .node import run_node

__all__ = ["load", "run_node", "save"]
