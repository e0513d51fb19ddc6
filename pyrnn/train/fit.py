"""The training loop: batches, validation, early stopping, and an orderly end whatever ends it.

Every way out (all epochs done, patience, Ctrl-C, a loss that is not finite, an error in the caller's code)
leaves the model with the weights of its best epoch and with the training flags it came with.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Never, Protocol

import numpy as np

from pyrnn.checks.arguments import check_bools, check_not_negative
from pyrnn.checks.arrays import Array
from pyrnn.core.module import Module

from .batches import Axis, Batches, Data
from .clip import clip_grad_norm
from .history import History
from .loss import mse_loss
from .names import LossFunction, loss_named, optimizer_for, refuse
from .optim import Optimizer
from .progress import Progress, progress_for
from .schedule import ReduceLROnPlateau
from .settings import check_counts, check_epochs, check_model, check_seed, check_together
from .traps import check_first_batch


class Schedule(Protocol):
    """What `fit` asks of a scheduler: `step` after each epoch; `ReduceLROnPlateau`'s is given the loss."""

    @property
    def step(self) -> Callable[..., None]: ...


def fit(
    model: Module,
    data: Data,
    targets: Any = None,
    *,
    loss: LossFunction | str = mse_loss,
    optimizer: Optimizer | Callable[[Module], Optimizer] | str | None = None,
    epochs: int,
    batch_size: int = 32,
    validation: Data | None = None,
    patience: int | None = None,
    clip_norm: float | None = None,
    scheduler: Schedule | None = None,
    batch_axis: Axis = 0,
    shuffle: bool = True,
    seed: int | None = None,
    progress: bool = True,
    **unknown: Never,
) -> History:
    """Trains `model` in place and returns the record of it.

    The epoch with the lowest validation loss (training loss without `validation`) is the best one. However
    the training ends, the model has that epoch's weights; the optimizer's state stays that of the last whole
    step. Ctrl-C ends it without an error, `stopped == "interrupted"`; in the first epoch, where there is no
    best yet, the weights of the last whole step stay.

    Args:
        model: a Module that can be called, `y = model(x)`, and has `vjp`: `y, pullback = model.vjp(x)`, where
            `pullback(gradient of y).parameters` are gradients by parameter name.
        data: (inputs, targets), two arrays; or an iterable of such pairs, the batches, gone over every epoch. Lists,
            tensors and DataFrames stand for arrays. Inputs take the precision of a first layer that wants floats.
        targets: where data are the inputs alone: `fit(model, inputs, targets, epochs=5)`.
        loss: takes (y, targets), returns (value, gradient with respect to y), as `pyrnn.train.mse_loss` does; or its
            name: "mse", "mae", "huber", "cross_entropy", "bce_with_logits", "nll", "bce", and Keras'
            "categorical_crossentropy", "sparse_categorical_crossentropy" and "binary_crossentropy" of probabilities.
        optimizer: made for this model; or a class, or "adam", "adamw", "sgd", with its defaults (lr=0.01 for SGD);
            Adam if None.
        epochs: how often to go over the data.
        batch_size: sequences in a batch that is cut from arrays.
        validation: data as above, held out: gone over in evaluation mode after each epoch.
        patience: stop after this many epochs without a new best.
        clip_norm: limit on the norm of all gradients together, see `clip_grad_norm`.
        scheduler: `step` is called after each epoch; it drives the same optimizer.
        batch_axis: where arrays count the sequences: 0 for [B,T,I], 1 for [T,B,I]. A pair of numbers, for
            inputs and targets, if they differ.
        shuffle: whether sequences cut from arrays come in a new random order each epoch.
        seed: of that order; None for a fresh one.
        progress: whether to show a bar (a few lines where standard error is no terminal).
        **unknown: nothing; for arguments of Keras' fit and others the error says what to write.

    Warns (UserWarning, once for each model): if a layer takes the sequences of the batch for the steps of one, or a
    loss of logits follows an activation.

    Raises:
        ValueError: for data or settings that do not fit together, and for unknown names.
        TypeError: if the model, the data or the loss is not of the kind described, and for unknown arguments.
        RuntimeError: if a loss or a gradient is not finite; it names epoch and batch.

    >>> from types import SimpleNamespace
    >>> from pyrnn.train import Adam
    >>> class Scale(Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self._add_parameter("weight", np.array(0.0))
    ...     def __call__(self, x):
    ...         return x * self.weight
    ...     def vjp(self, x):
    ...         pullback = lambda dy: SimpleNamespace(parameters={"weight": np.array((dy * x).sum())})
    ...         return self(x), pullback
    >>> model, x = Scale(), np.linspace(-1, 1, 64)
    >>> history = fit(model, (x, 3 * x), optimizer=Adam(model, lr=0.1), epochs=60, seed=0, progress=False)
    >>> round(float(model.weight), 2), history.stopped
    (3.0, 'epochs')
    """
    refuse(unknown)
    check_model(model)
    check_counts(epochs=epochs, batch_size=batch_size, **({} if patience is None else {"patience": patience}))
    check_seed(seed)
    check_bools(shuffle=shuffle, progress=progress)
    if clip_norm is not None:
        check_not_negative("clip_norm", clip_norm, finite=False)
    order = np.random.default_rng(seed) if shuffle else None
    held_out = None
    if validation is not None:
        held_out = Batches(model, validation, None, batch_size, batch_axis, None, "validation")
    run = _Run(
        model=model,
        loss=loss_named(loss),
        optimizer=optimizer_for(model, optimizer),
        scheduler=scheduler,
        batches=Batches(model, data, targets, batch_size, batch_axis, order),
        held_out=held_out,
        patience=patience,
        clip_norm=clip_norm,
    )
    check_together(model, run.optimizer, scheduler)
    for batches in (run.batches, run.held_out):
        if batches is not None:
            check_epochs(batches, epochs)
    modes = {name: module.training for name, module in model.named_modules()}
    try:
        with progress_for(epochs, progress) as shown:
            run.epochs(epochs, shown)
    except KeyboardInterrupt:
        run.history.stopped = "interrupted"
        if not run.history.best_epoch:
            run.best = _values(model)
    finally:
        with _uninterrupted():
            model.load_state_dict(run.best, strict=False)
            for name, module in model.named_modules():
                module.training = modes[name]
    return run.history


@dataclass
class _Run:
    """A model in training."""

    model: Any  # a Module with __call__ and vjp
    loss: LossFunction
    optimizer: Optimizer
    scheduler: Schedule | None
    batches: Batches
    held_out: Batches | None
    patience: int | None
    clip_norm: float | None
    history: History = field(default_factory=History)
    best: dict[str, Array] = field(init=False)

    def __post_init__(self) -> None:
        # No copy: parameters are replaced whole, so these arrays keep the values they have now.
        self.best = _values(self.model)

    def epochs(self, epochs: int, shown: Progress) -> None:
        for epoch in range(1, epochs + 1):
            started, lr = time.perf_counter(), float(self.optimizer.lr)
            losses = {"loss": self._train(epoch, shown)}
            if self.held_out is not None:
                losses["validation"] = self._evaluate(epoch, self.held_out)
            with _uninterrupted():
                self._record(losses, lr, time.perf_counter() - started)
            shown.epoch(epoch, "  ".join(f"{word} {value:.4g}" for word, value in losses.items()))
            self._schedule()
            if self.patience is not None and epoch - self.history.best_epoch >= self.patience:
                self.history.stopped = "patience"
                return

    def _train(self, epoch: int, shown: Progress) -> float:
        self.model.train()
        total, sequences, expected = 0.0, 0, self.batches.count()
        for number, (inputs, targets, size) in enumerate(self.batches, start=1):
            if epoch == number == 1:
                check_first_batch(self.model, self.loss, inputs, targets, *self.batches.counting())
            value = self._step(inputs, targets, f"epoch {epoch}, batch {number}")
            total, sequences = total + value * size, sequences + size
            shown.batch(epoch - 1 + (number / expected if expected else 0), value)
        return _mean(total, sequences, "data")

    def _step(self, inputs: Array, targets: Array, where: str) -> float:
        result = self.model.vjp(inputs)
        if len(result) != 2:
            raise TypeError(
                f"model.vjp(x) should return (y, pullback), got {len(result)} values; a layer that returns "
                "its state as well has to be wrapped in a module that picks the output."
            )
        output, pullback = result
        value, gradient = _value_and_gradient(self.loss(output, targets))
        _require_finite("The loss", value, where, inputs, targets)
        gradients = pullback(gradient).parameters
        for name, array in gradients.items():
            # Here, and not at the next loss: the step would carry it into the optimizer's state too.
            _require_finite(f"The gradient of {name}", array, where)
        if self.clip_norm is not None:
            gradients, _ = clip_grad_norm(gradients, self.clip_norm)
        with _uninterrupted():
            self.optimizer.step(gradients)
        return value

    def _evaluate(self, epoch: int, held_out: Batches) -> float:
        self.model.eval()
        total, sequences = 0.0, 0
        for number, (inputs, targets, size) in enumerate(held_out, start=1):
            value, _ = _value_and_gradient(self.loss(self.model(inputs), targets))
            _require_finite("The loss", value, f"epoch {epoch}, validation batch {number}", inputs, targets)
            total, sequences = total + value * size, sequences + size
        return _mean(total, sequences, "validation")

    def _record(self, losses: dict[str, float], lr: float, seconds: float) -> None:
        history = self.history
        before = history.best_loss if history.best_epoch else math.inf
        history.train_loss.append(losses["loss"])
        if self.held_out is not None:
            history.validation_loss.append(losses["validation"])
        history.lr.append(lr)
        history.seconds.append(seconds)
        if history.monitored[-1] < before:
            history.best_epoch, self.best = len(history.lr), _values(self.model)

    def _schedule(self) -> None:
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(self.history.monitored[-1])
        elif self.scheduler is not None:
            self.scheduler.step()


def _values(model: Module) -> dict[str, Array]:
    """Parameters and buffers: the statistics of a batch norm belong to the weights they were taken with."""
    return {**model.parameters(), **model.buffers()}


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Holds Ctrl-C back until the block is done: what it writes, it writes whole."""
    handler = signal.getsignal(signal.SIGINT)
    # Elsewhere Python raises no KeyboardInterrupt, and lets no handler be set.
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    pressed: list[tuple[int, Any]] = []
    signal.signal(signal.SIGINT, lambda number, frame: pressed.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if pressed:
            handler(*pressed[0])


def _value_and_gradient(result: Any) -> tuple[float, Array]:
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(
            "loss should return a pair, its value and the gradient with respect to its first argument; "
            f"got {type(result).__name__}."
        )
    return float(result[0]), result[1]


def _require_finite(what: str, values: Any, where: str, *data: Array) -> None:
    """RuntimeError if a number is not finite; it tells where the batch, (inputs, targets), has such numbers itself."""
    if np.isfinite(values).all():
        return
    advice = "try a smaller learning rate or clip_norm, and look for nan in the data"
    for word, array in zip(("inputs", "targets"), data, strict=False):
        strange = np.count_nonzero(~np.isfinite(array))
        if strange:
            advice = f"{strange} numbers in the {word} of this batch are not finite: fill them, or drop their rows"
            break
    raise RuntimeError(f"{what} is not finite in {where}. The model has its best weights so far; {advice}.")


def _mean(total: float, sequences: int, name: str) -> float:
    if not sequences:
        raise ValueError(f"{name} holds no batches; an iterable has to give them anew in every epoch.")
    return total / sequences
