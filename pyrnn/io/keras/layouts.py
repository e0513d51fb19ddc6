"""Renames Keras' arrays and gives them torch's layout, for layers without a recurrence."""

from __future__ import annotations

import numpy as np

from pyrnn.checks.arrays import Array

Arrays = dict[str, Array]


def dense(arrays: Arrays) -> Arrays:
    """Turns kernel [I,O] into weight [O,I]."""
    return {"weight": arrays["kernel"].T} | _bias(arrays)


def conv(arrays: Arrays) -> Arrays:
    """Turns kernel [*,C/g,O] into weight [O,C/g,*]."""
    kernel = arrays["kernel"]
    if kernel.ndim < 3:
        raise ValueError(f"the kernel of a convolution should have 3 or 4 axes, got shape {kernel.shape}")
    return {"weight": kernel.transpose(kernel.ndim - 1, kernel.ndim - 2, *range(kernel.ndim - 2))} | _bias(arrays)


def embedding(arrays: Arrays) -> Arrays:
    return {"weight": arrays["embeddings"]}


def layer_norm(arrays: Arrays) -> Arrays:
    """Renames gamma and beta; a missing one becomes ones or zeros."""
    some = next(iter(arrays.values()))
    return {"weight": arrays.get("gamma", np.ones_like(some)), "bias": arrays.get("beta", np.zeros_like(some))}


def batch_norm(arrays: Arrays) -> Arrays:
    """Renames gamma and beta as `layer_norm` does, and the moving statistics."""
    statistics = {"running_mean": arrays["moving_mean"], "running_var": arrays["moving_variance"]}
    ones, zeros = np.ones_like(arrays["moving_mean"]), np.zeros_like(arrays["moving_mean"])
    scale = {"weight": arrays.get("gamma", ones), "bias": arrays.get("beta", zeros)}
    return {**scale, **statistics, "num_batches_tracked": np.array(0)}


def _bias(arrays: Arrays) -> Arrays:
    return {"bias": arrays["bias"]} if "bias" in arrays else {}
