"""Converts a live Keras 3 model, on any backend, without a file."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import numpy as np

from pyrnn import nn
from pyrnn.checks.budget import Budget
from pyrnn.checks.quoting import quoted
from pyrnn.core.making import loading

from .container import Container, container_of
from .convert import network


def convert(model: Any) -> nn.Sequential:
    """Makes the `pyrnn.nn.Sequential` of a live Keras model, with copies of its weights, in evaluation mode.

    Raises:
        ValueError: if the model is not built yet, is not one chain of layers, or has a layer or an attribute without a
            counterpart, which the message names.
    """
    try:
        with loading():
            return network(_contents(model))
    except ValueError as error:
        raise ValueError(f"the Keras model {quoted(model.name)} cannot be converted: {error}.") from error


def _contents(model: Any) -> Container:
    """Returns what a file of the model would hold; its arrays are named as in an HDF5 file."""
    if not model.built:
        raise ValueError("it has no weights yet; call it on an input, or model.build(shape)")
    keras = sys.modules["keras"]
    try:
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # Keras' own, of NumPy 2
            description = json.loads(model.to_json())
            arrays = {
                f"{layer.name}/{variable.path}": np.array(keras.ops.convert_to_numpy(variable.value))
                for layer in model.layers
                for variable in layer.weights
            }
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            f"{type(model).__name__} does not describe its layers; only Sequential and functional models are "
            f"converted ({error})"
        ) from error
    return container_of(description, keras.__version__, None, arrays, Budget(0, sys.maxsize))
