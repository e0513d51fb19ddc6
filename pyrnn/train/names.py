"""Callers may name losses and optimizers as Keras, torch and scikit-learn do; this module finds the function."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief
from pyrnn.core.module import Module

from .loss import bce_with_logits, cross_entropy, huber_loss, l1_loss, mse_loss
from .loss_probabilities import bce_loss, categorical_crossentropy, nll_loss
from .optim import SGD, Adam, AdamW, Optimizer

LossFunction = Callable[[Array, Array], tuple[float, Array]]

KERAS_EPSILON = 1e-7
LOSSES: dict[str, LossFunction] = {
    "mse": mse_loss,
    "mae": l1_loss,
    "huber": huber_loss,
    "cross_entropy": cross_entropy,
    "bce_with_logits": bce_with_logits,
    "nll": nll_loss,
    "bce": bce_loss,
    # As in Keras, these names stand for losses of probabilities, with the classes on the last axis.
    "binary_crossentropy": partial(bce_loss, epsilon=KERAS_EPSILON),
    "categorical_crossentropy": categorical_crossentropy,
    "sparse_categorical_crossentropy": categorical_crossentropy,
}
SYNONYMS = {
    "mean_squared_error": "mse",
    "squared_error": "mse",
    "mean_absolute_error": "mae",
    "absolute_error": "mae",
    "l1": "mae",
    "binary_cross_entropy_with_logits": "bce_with_logits",
    "ce": "cross_entropy",
}
# SGD has no default learning rate in torch, so it gets Keras'.
OPTIMIZERS: dict[str, Callable[[Module], Optimizer]] = {"adam": Adam, "adamw": AdamW, "sgd": partial(SGD, lr=0.01)}


def loss_named(loss: Any) -> LossFunction:
    """Returns the function for a name, or the function itself.

    Raises:
        ValueError: for an unknown name; it lists the known ones.
        TypeError: for what is no function, or one of another package.

    Example:
        >>> loss_named("mse") is mse_loss
        True
    """
    if isinstance(loss, str):
        known = {_letters(name): function for name, function in LOSSES.items()}
        known.update({_letters(name): LOSSES[own] for name, own in SYNONYMS.items()})
        if _letters(loss) in known:
            return known[_letters(loss)]
        raise ValueError(f"loss {brief(loss)} is not known; the names are {', '.join(LOSSES)}. Or give a function.")
    _refuse_others("loss", loss, "a name such as 'mse', or a function such as pyrnn.train.mse_loss")
    if not callable(loss):
        raise TypeError(
            f"loss should be a function such as pyrnn.train.mse_loss, or a name, got {type(loss).__name__}"
        )
    found: LossFunction = loss
    return found


def optimizer_for(model: Module, optimizer: Any) -> Optimizer:
    """Returns the optimizer for a name, a class or None (Adam), or the optimizer itself.

    Raises:
        ValueError: for an unknown name; it lists the known ones.
        TypeError: for what is no optimizer of pyrnn's.
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if optimizer is None:
        return Adam(model)
    if isinstance(optimizer, str):
        if optimizer.strip().lower() not in OPTIMIZERS:
            raise ValueError(
                f"optimizer {brief(optimizer)} is not known; the names are {', '.join(OPTIMIZERS)}. Or make one, as "
                "in pyrnn.train.Adam(model, lr=1e-3)."
            )
        return OPTIMIZERS[optimizer.strip().lower()](model)
    advice = "a name such as 'adam', or one made for the model, as in pyrnn.train.Adam(model, lr=1e-3)"
    _refuse_others("optimizer", optimizer, advice)
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
        return OPTIMIZERS.get(optimizer.__name__.lower(), optimizer)(model)
    made = optimizer(model) if callable(optimizer) else None  # for example functools.partial(SGD, lr=0.1)
    if not isinstance(made, Optimizer):
        raise TypeError(f"optimizer should be {advice}; got {type(optimizer).__name__}")
    return made


def _letters(name: str) -> str:
    """Returns the part of a name that is compared: "MSELoss", "mse_loss" and "mse" give one result."""
    return "".join(filter(str.isalnum, name.lower())).removesuffix("loss")


def _refuse_others(word: str, given: Any, advice: str) -> None:
    """Raises TypeError for a loss or optimizer of another package, which computes on that package's tensors."""
    module = getattr(given, "__module__", None) or type(given).__module__
    root = str(module).partition(".")[0]
    if root in ("torch", "keras", "tensorflow", "tf_keras", "sklearn", "jax", "optax"):
        name = getattr(given, "__name__", type(given).__name__)
        raise TypeError(f"{word} should be {advice}; got {name} of {root}, which does not know pyrnn's arrays")


# OTHERS maps arguments of Keras' and scikit-learn's fit to the advice in the error.
_HELD_OUT = "hold the last n samples out: fit(model, (x[:-n], y[:-n]), validation=(x[-n:], y[-n:]))"
_RATE = "write optimizer=Adam(model, lr=...)"
OTHERS = {
    "validation_data": "write validation=(x, y)",
    "validation_split": _HELD_OUT,
    "validation_fraction": _HELD_OUT,
    "metrics": "measure after the training, as in (model.predict(x).argmax(-1) == y).mean()",
    "callbacks": "write patience=, scheduler= or clip_norm=",
    "early_stopping": "write patience=, the epochs to go on without a new best",
    "verbose": "write progress=False for silence",
    "lr": _RATE,
    "learning_rate": _RATE,
    "n_epochs": "write epochs=",
    "num_epochs": "write epochs=",
    "max_iter": "write epochs=",
    "criterion": "write loss=",
    "loss_fn": "write loss=",
    "random_state": "write seed=",
    "sample_weight": "write a loss that takes the weights as a column of the targets",
    "class_weight": "write loss=functools.partial(cross_entropy, weight=...)",
    "x": "write fit(model, (x, y), epochs=...)",
    "y": "write fit(model, (x, y), epochs=...)",
    "device": "leave it out; the kernels run on the CPU",
}


def refuse(unknown: dict[str, Any]) -> None:
    """Raises TypeError for arguments that `fit` does not have, with advice for those of other packages."""
    for name in unknown:
        instead = f": {OTHERS[name]}" if name in OTHERS else "; help(pyrnn.train.fit) lists those that it has"
        raise TypeError(f"fit has no argument {brief(name)}{instead}.")
