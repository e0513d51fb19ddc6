"""Reads chains of layers from ONNX models as a Sequential, writes them, and runs single recurrent nodes.

It needs the package onnx: pip install "pyrnn-cpu[onnx]".

Source: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

import os

from pyrnn import nn
from pyrnn.io.loading import load_kind

from .exporting import save
from .node import run_node

__all__ = ["load", "run_node", "save"]


def load(path: str | os.PathLike[str], output: str | None = None, *, limit: int | None = None) -> nn.Sequential:
    """`pyrnn.load` for an ONNX model, which is to be a chain of layers of pyrnn.nn.

    Recurrent nodes become RNN, LSTM and GRU, one layer each. The nodes that exporters put around them (transposes,
    reshapes, initial states of zeros, chains of Slice and Concat over weights) disappear. The result takes the same
    input as the ONNX model, for example [T,B,I]; its layers are batch-first if that input is.

    Args:
        path: the path of the file; external data are read from its folder.
        output: the name of the output to compute, required if the model has several.
        limit: the number of bytes that constants may take, and layers again; None means 64 times the file's length,
            and 16 MiB.

    Returns:
        An nn.Sequential in evaluation mode.

    Raises:
        ValueError: if the file is damaged, a node or one of its attributes has no counterpart, or the graph is not a
            chain. The message names the node, and no half-built model is left.
        FileNotFoundError: if the file does not exist.
        ImportError: if the package onnx is not installed.

    >>> import tempfile, numpy as np, pyrnn
    >>> from pyrnn.io.onnx import load, save
    >>> layer = pyrnn.GRU(3, 5, batch_first=True, seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(layer, f"{folder}/model.onnx")
    ...     model = load(f"{folder}/model.onnx")
    >>> x = np.ones((2, 7, 3), np.float32)
    >>> bool((model(x) == layer(x)[0]).all())
    True

    Source: https://onnx.ai/onnx/repo-docs/IR.html
    """
    model: nn.Sequential = load_kind("onnx", path, limit, output=output)
    return model
