"""These functions check the arguments of `fit` other than the data."""

from __future__ import annotations

from typing import Any

from pyrnn.checks.quoting import brief
from pyrnn.core.module import Module
from pyrnn.core.quantized import Quantized

from .batches import Batches
from .optim import Optimizer


def check_model(model: Any) -> None:
    """Raises TypeError if `fit` cannot train the model."""
    if isinstance(model, type):
        raise TypeError(f"fit needs a model, got the class {model.__name__}; make one of it.")
    if not isinstance(model, Module) or not callable(model) or not hasattr(model, "vjp"):
        kind = type(model).__name__
        raise TypeError(f"fit needs a pyrnn Module that can be called and has vjp; a {kind} is none.")
    for name, module in model.named_modules():
        if isinstance(module, Quantized):
            raise TypeError(
                f"fit needs float weights, and {name or 'the model'} is quantized, for inference; train the float "
                "layer and quantize it afterwards."
            )


def check_together(model: Module, optimizer: Optimizer, scheduler: Any) -> None:
    """Raises ValueError or TypeError if the optimizer is of another model, or the scheduler of another optimizer."""
    if optimizer.model is not model:
        raise ValueError("The optimizer was made for another model; make one for this, as in Adam(model).")
    if scheduler is None:
        return
    if not callable(getattr(scheduler, "step", None)) or isinstance(scheduler, type):
        raise TypeError(
            "scheduler should be one made for the optimizer, as in CosineAnnealingLR(optimizer, T_max=epochs), got "
            f"{brief(scheduler)}."
        )
    if getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise ValueError("The scheduler drives another optimizer; pass fit the one it was made for.")


def check_epochs(batches: Batches, epochs: int) -> None:
    """Raises ValueError if the data can be iterated only once."""
    if batches.is_one_shot and epochs > 1:
        raise ValueError(
            f"{batches.name} is an iterator, spent after one epoch; pass a list of batches, or an object "
            "whose __iter__ starts anew."
        )
