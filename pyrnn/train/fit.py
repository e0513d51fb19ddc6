"""`fit` is the training loop: batches, validation and early stopping.

It may end with the last epoch, by `patience`, Ctrl-C, a loss that is not finite, or an error in the caller's code. In
every case the model gets the weights of its best epoch and its former training flags.
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

from pyrnn.checks.arguments import check_bools, check_not_negative, check_seed, check_size
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
from .settings import check_epochs, check_model, check_together
from .traps import check_first_batch


class Schedule(Protocol):
    """A scheduler as `fit` uses it: `step` ends each epoch; only `ReduceLROnPlateau`'s gets the loss."""

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

    The best epoch is the one with the lowest validation loss, or without `validation` the lowest training loss.
    However the training ends, the model gets the weights of its best epoch; the optimizer keeps the state of its last
    step. Ctrl-C ends it without an error, `stopped == "interrupted"`; if it comes in the first epoch, the weights of
    the last step stay.

    Args:
        model: a Module that can be called, `y = model(x)`, and has `vjp`, which returns `(y, None, pullback)`;
            `pullback(gradient of y).parameters` are gradients by parameter name.
        data: (inputs, targets), two arrays; or an iterable of such pairs, the batches, which every epoch iterates.
            Lists, tensors and DataFrames stand for arrays. If the first layer takes floats, the inputs get its dtype.
        targets: the targets if data are the inputs alone: `fit(model, inputs, targets, epochs=5)`.
        loss: a function of (y, targets) that returns (value, gradient with respect to y), as `mse_loss`; or a
            name: "mse", "mae", "huber", "cross_entropy", "bce_with_logits", "nll", "bce", and Keras'
            "categorical_crossentropy", "sparse_categorical_crossentropy" and "binary_crossentropy" of probabilities.
        optimizer: one made for this model; a class, or "adam", "adamw", "sgd", with its defaults (lr=0.01 for SGD);
            None for Adam.
        epochs: the number of passes over the data.
        batch_size: the number of sequences in a batch that is cut from arrays.
        validation: data as above that the model is not trained on; `fit` evaluates it after each epoch.
        patience: the number of epochs without a new best after which to stop.
        clip_norm: the limit on the norm of all gradients together, as in `clip_grad_norm`.
        scheduler: made for the same optimizer; `fit` calls its `step` after each epoch.
        batch_axis: the axis that counts the sequences: 0 for [B,T,I], 1 for [T,B,I]. A pair, for inputs and
            targets, if they differ.
        shuffle: whether each epoch takes sequences cut from arrays in a new random order.
        seed: of that order; None for a fresh one.
        progress: whether to show a bar, or a few lines where standard error is no terminal.
        **unknown: none is valid; for an argument of Keras' fit the error says what to write.

    Warns (UserWarning, once for each model): if a layer takes the batch axis for the time axis, or if a loss of logits
    follows an activation.

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
    ...         return self(x), None, pullback
    >>> model, x = Scale(), np.linspace(-1, 1, 64)
    >>> history = fit(model, (x, 3 * x), optimizer=Adam(model, lr=0.1), epochs=60, seed=0, progress=False)
    >>> round(float(model.weight), 2), history.stopped
    (3.0, 'epochs')
    """
    refuse(unknown)
    check_model(model)
    check_size("epochs", epochs)
    check_size("batch_size", batch_size)
    if patience is not None:
        check_size("patience", patience)
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
    """The parts of one training run, and what it has recorded so far."""

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
        # These need no copy: steps replace parameters as a whole and never write into the arrays.
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
        if not isinstance(result, tuple) or len(result) != 3:
            got = f"{len(result)} values" if isinstance(result, tuple) else type(result).__name__
            raise TypeError(f"model.vjp(x) should return (y, None, pullback), got {got}")
        output, state, pullback = result
        if state is not None:  # of a recurrent layer
            raise TypeError("fit needs a model without a state beside y; put the layer into an nn.Sequential")
        value, gradient = _value_and_gradient(self.loss(output, targets))
        _require_finite("The loss", value, where, inputs, targets)
        gradients = pullback(gradient).parameters
        for name, array in gradients.items():
            # A check of the next loss would come too late: the optimizer's state would hold nan by then.
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
    """Returns parameters and buffers: the weights, with the statistics of batch norms that belong to them."""
    return {**model.parameters(), **model.buffers()}


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Delays Ctrl-C until the block has ended, so that it writes all of its values or none."""
    handler = signal.getsignal(signal.SIGINT)
    # Python raises KeyboardInterrupt in the main thread only, and lets no other thread set handlers.
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
    """Raises RuntimeError if a number is not finite; it says if the batch, (inputs, targets), has such numbers too."""
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
