"""`fit` ends early at Ctrl-C and at losses that are not finite, and refuses arguments that do not fit."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from linear import Array, Linear, assert_weights, in_batches, problem, settled, weights_after

from pyrnn.core.module import Module
from pyrnn.train import SGD, Adam, CosineAnnealingLR, mse_loss


class Counted:
    """mse_loss, except that its k-th call runs `action`, which raises or returns another pair."""

    def __init__(self, at: int, action: Callable[[], Any]) -> None:
        self.at, self.action, self.calls = at, action, 0

    def __call__(self, output: Array, target: Array) -> Any:
        self.calls += 1
        return self.action() if self.calls == self.at else mse_loss(output, target)


def interrupt() -> Any:
    raise KeyboardInterrupt


@pytest.mark.parametrize("call", [5, 8, 9, 12])
def test_ctrl_c_in_the_loss_leaves_the_best_weights(call: int) -> None:
    """Four batches an epoch: calls 5 to 8 are the second epoch, 9 to 12 the third."""
    model = Linear()
    optimizer = SGD(model, lr=0.05)
    history = settled(loss=Counted(call, interrupt), optimizer=optimizer)(model, problem())
    assert (history.stopped, history.best_epoch) == ("interrupted", (call - 1) // 4)
    assert len(history.train_loss) == history.best_epoch
    assert_weights(model, weights_after(history.best_epoch))
    assert model.training


def test_ctrl_c_in_the_first_epoch_keeps_what_was_learnt() -> None:
    x, y = problem()
    model = Linear()
    train = settled(loss=Counted(4, interrupt), optimizer=SGD(model, lr=0.05), shuffle=False)
    history = train(model, (x, y))
    assert (history.stopped, history.best_epoch, history.train_loss) == ("interrupted", 0, [])
    assert np.isnan(history.best_loss)
    assert_weights(model, weights_after(1, in_batches(x[:36], y[:36])))


def test_ctrl_c_in_validation_drops_the_unfinished_epoch() -> None:
    model = Linear()
    train = settled(loss=Counted(10, interrupt), optimizer=SGD(model, lr=0.05))
    history = train(model, problem(), validation=problem(12, seed=1))
    assert (history.stopped, history.best_epoch) == ("interrupted", 1)
    assert len(history.train_loss) == len(history.validation_loss) == len(history.lr) == 1
    assert_weights(model, weights_after(1))
    assert model.training


@pytest.mark.parametrize("where", ["step", "load_state_dict"])
def test_a_signal_within_a_step_waits_until_the_step_is_whole(where: str) -> None:
    """A real SIGINT arrives while the parameters are set one by one; model and optimizer stay in step."""

    class Pressed(Linear):
        def _replacements(self, values: Any, start: str) -> Any:
            yield from super()._replacements(values, start)
            self.presses = self.__dict__.get("presses", 0) + 1
            if self.presses == 2 and where == "load_state_dict":
                os.kill(os.getpid(), signal.SIGINT)

    class Pressing(Adam):
        def _update(self, *args: Any) -> Any:
            found = super()._update(*args)
            if where == "step" and args[3] and args[3]["step"] == 1:
                os.kill(os.getpid(), signal.SIGINT)
            return found

    model, twin = Pressed(), Linear()
    optimizer = Pressing(model, lr=0.05)
    before = signal.getsignal(signal.SIGINT)
    history = settled(optimizer=optimizer, shuffle=False)(model, problem())
    assert (history.stopped, signal.getsignal(signal.SIGINT)) == ("interrupted", before)
    x, y = problem()
    reference = Adam(twin, lr=0.05)
    settled(epochs=1, optimizer=reference)(twin, in_batches(x[:24], y[:24]))
    assert_weights(model, twin.state_dict())
    state = optimizer.state_dict()
    for key, value in reference.state_dict().items():
        np.testing.assert_array_equal(state[key], value, err_msg=key)


def test_fit_trains_in_a_thread_where_no_signal_can_be_caught() -> None:
    model, found = Linear(), []
    work = threading.Thread(target=lambda: found.append(settled()(model, problem())))
    work.start()
    work.join()
    assert found[0].stopped == "epochs"


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize(("call", "epoch", "batch"), [(2, 1, 2), (7, 2, 3)])
def test_a_loss_that_is_not_finite_stops_and_restores(bad: float, call: int, epoch: int, batch: int) -> None:
    model = Linear()
    start = model.state_dict()
    train = settled(loss=Counted(call, lambda: (bad, np.zeros((12, 1)))), optimizer=SGD(model, lr=0.05))
    with pytest.raises(RuntimeError, match=rf"^The loss is not finite in epoch {epoch}, batch {batch}\."):
        train(model, problem())
    assert_weights(model, start if epoch == 1 else weights_after(epoch - 1))


def test_a_validation_loss_that_is_not_finite_says_so() -> None:
    x, y = problem(24)
    y[:] = np.nan
    with pytest.raises(RuntimeError, match="epoch 1, validation batch 1"):
        settled()(Linear(), problem(), validation=(x, y))


def test_a_gradient_that_is_not_finite_never_reaches_the_optimizer() -> None:
    model = Linear()
    optimizer = Adam(model)
    bad = Counted(6, lambda: (1.0, np.full((12, 1), np.nan)))
    with pytest.raises(RuntimeError, match=r"^The gradient of weight is not finite in epoch 2, batch 2\."):
        settled(loss=bad, optimizer=optimizer)(model, problem())
    assert all(np.isfinite(value).all() for value in optimizer.state_dict().values())
    assert optimizer.state_dict()["weight.step"] == 5


def test_a_diverging_run_ends_in_a_sentence_and_no_warning() -> None:
    model = Linear()
    with pytest.raises(RuntimeError, match=r"not finite in epoch \d+, batch \d"):
        settled(epochs=1000, optimizer=SGD(model, lr=10.0))(model, problem())
    assert np.isfinite(model.weight).all()


def test_an_error_in_the_loss_passes_through_and_restores() -> None:
    model = Linear()
    train = settled(loss=Counted(6, lambda: {}["missing"]), optimizer=SGD(model, lr=0.05))
    with pytest.raises(KeyError, match="missing"):
        train(model, problem())
    assert_weights(model, weights_after(1))


STRANGE = CosineAnnealingLR(SGD(Linear(), lr=0.1), T_max=3)


class WithState(Linear):
    def vjp(self, x: Array) -> Any:
        return x, x, None


class TwoValues(Linear):
    def vjp(self, x: Array) -> Any:
        return x, None


@pytest.mark.parametrize(
    ("model", "data", "options", "error", "words"),
    [
        (Linear(), problem(), {"epochs": 0}, ValueError, "epochs must be greater than zero, got 0"),
        (Linear(), problem(), {"batch_size": 0}, ValueError, "batch_size must be greater than zero"),
        (Linear(), problem(), {"patience": 0}, ValueError, "patience must be greater than zero"),
        (Linear(), problem(), {"optimizer": SGD(Linear(), lr=0.1)}, ValueError, "made for another model"),
        (Linear(), problem(), {"scheduler": STRANGE}, ValueError, "The scheduler drives another optimizer"),
        (Module(), problem(), {}, TypeError, "can be called and has vjp; a Module is none"),
        (TwoValues(), problem(), {}, TypeError, r"should return \(y, None, pullback\), got 2 values"),
        (WithState(), problem(), {}, TypeError, "without a state beside y; put the layer into an nn.Sequential"),
        (Linear(), problem(), {"loss": lambda y, t: 1.0}, TypeError, "loss should return a pair.*got float"),
        (Linear(), 3, {}, TypeError, "pair .* or an iterable of such pairs, got int"),
        (Linear(), iter([]), {}, ValueError, "data is an iterator, spent after one epoch"),
        (Linear(), [], {}, ValueError, "data holds no batches"),
        (Linear(), [(np.ones((2, 3)),)], {}, ValueError, "Every batch of data should be a pair.*tuple of 1"),
        (Linear(), [np.ones((2, 3))], {}, ValueError, "Every batch of data should be a pair.*got ndarray"),
        (Linear(), (np.ones((4, 3)), np.ones((3, 1))), {}, ValueError, r"inputs \(4, 3\) and targets"),
        (Linear(), (np.ones((0, 3)), np.ones((0, 1))), {}, ValueError, "at least one"),
        (Linear(), problem(), {"batch_axis": 2}, ValueError, r"shape \(48, 3\) have no batch_axis 2"),
        (Linear(), problem(), {"validation": iter([])}, ValueError, "validation is an iterator"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(model: Any, data: Any, options: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        settled(**options)(model, data)


def test_an_iterator_is_good_for_one_epoch() -> None:
    history = settled(epochs=1)(Linear(), iter(in_batches(*problem())))
    assert len(history.train_loss) == 1
