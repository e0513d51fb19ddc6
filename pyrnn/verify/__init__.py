"""Compares a model in pyrnn with the library it comes from on the same inputs, and finds the first difference."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief
from pyrnn.core.module import Module

from .report import Difference, LayerReport, Report

__all__ = ["AGAINST", "Difference", "LayerReport", "Report", "read_data", "verify"]

Path = str | os.PathLike[str]

AGAINST = {
    "keras": (".keras", ".h5", ".hdf5"),
    "torch": (".pt", ".pth", ".npz", ".safetensors"),
    "onnxruntime": (".onnx",),
}


def verify(
    path: Path, against: str, data: Array, *, tolerance: float = 1e-5, model: Module | None = None, **options: Any
) -> Report:
    """Runs a model in pyrnn and in the library it comes from, and compares them layer by layer.

    Keras 3 computes the hard_sigmoid of a Keras 2 file by its own, different formula, and pyrnn by that of Keras 2. A
    difference there is an error of Keras 3.

    Args:
        path: `.keras`, `.h5` or `.hdf5` for "keras"; `.onnx` for "onnxruntime"; for "torch" a state dict with a
            recurrent layer, which is built as torch.nn.RNN, LSTM or GRU.
        against: "keras", "torch" or "onnxruntime"; its numbers are taken as right.
        data: a batch of inputs in the model's layout; floats are cast to the model's dtype.
        tolerance: a number differs if it is off by more than tolerance * max(1, |number|), or if only one is NaN.
        model: the model to check; by default `pyrnn.load` makes it from the file.
        options: the options of `pyrnn.load`.

    Returns:
        The largest difference of each layer, and the first layer, step and gate that differ. The gates of `trace` are
        compared with the equations in float64, computed with the weights in the file.

    Raises:
        ValueError: if the file does not go with `against`, one of the two cannot load it, or the data do not fit.
        FileNotFoundError: if the file does not exist.
        ImportError: if the other library is not installed.

    >>> import pyrnn, tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pyrnn.save_state_dict(pyrnn.GRU(3, 5).state_dict(), f"{folder}/gru.pt")
    ...     verify(f"{folder}/gru.pt", "torch", np.ones((7, 2, 3))).agrees
    True
    """
    _check(path, against, data)
    compare = import_module(f"pyrnn.verify.against_{against}").compare
    layers, first = compare(os.fspath(path), np.asarray(data), tolerance, model, options)
    return Report(os.fspath(path), against, tolerance, layers, first)


def _check(path: Path, against: str, data: Array) -> None:
    if against not in AGAINST:
        raise ValueError(f"against should be one of {', '.join(AGAINST)}, got {brief(against)}")
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in AGAINST[against]:
        known = ", ".join(AGAINST[against])
        raise ValueError(f"against {against}, {os.fspath(path)} should end in one of {known}; got {brief(suffix)}")
    if not np.size(data):
        raise ValueError(f"the data should hold something, got shape {np.shape(data)}")


def read_data(path: Path) -> Array:
    """Reads the array of a `.npy` file.

    Args:
        path: the path of the file, as np.save writes it.

    Returns:
        The array, with the dtype of the file.

    Raises:
        ValueError: if the file is not a `.npy` file, or holds objects.
        FileNotFoundError: if the file does not exist.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/x.npy", np.ones((7, 2, 3)))
    ...     read_data(f"{folder}/x.npy").shape
    (7, 2, 3)
    """
    try:
        # A memory map allocates nothing for sizes that the file does not have.
        return np.array(open_memmap(os.fspath(path), mode="r"))
    except (EOFError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)} should be a .npy file of numbers, as np.save writes it") from error
