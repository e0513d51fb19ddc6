"""`fit` warns of runs that train something else than the caller means, and of no others."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from linear import Array

from pyrnn import GRU, LSTM, RNN, Gradients, Module, nn
from pyrnn.train import bce_with_logits, cross_entropy, fit, mse_loss, nll_loss

S, FIRST = nn.Sequential, {"batch_first": True}
RANDOM = np.random.default_rng(0)
COMMON: dict[str, Any] = {"epochs": 2, "progress": False}


def draws(*shape: int) -> Array:
    return RANDOM.standard_normal(shape).astype(np.float32)


class Own(Module):
    """A custom network of a GRU and a Linear, which swaps the axes before and after the GRU or not."""

    def __init__(self, swaps: bool, head: Module | None = None, **options: Any) -> None:
        super().__init__()
        self.swaps, self.before = swaps, nn.Linear(3, 3)
        self.rnn, self.head = GRU(3, 4, **options), S(*([head] if head else []), nn.Linear(4, 1))

    def turn(self, x: Array) -> Array:
        return np.ascontiguousarray(x.swapaxes(0, 1)) if self.swaps else x

    def __call__(self, x: Array) -> Array:
        return self.vjp(x)[0]

    def vjp(self, x: Array) -> Any:
        start, _, to_before = self.before.vjp(x)
        hidden, _, to_rnn = self.rnn.vjp(self.turn(start))
        output, _, to_head = self.head.vjp(self.turn(hidden))

        def pullback(grad: Array) -> Gradients:
            head = to_head(grad)
            rnn = to_rnn(self.turn(head.input))
            parts = {"before": to_before(self.turn(rnn.input)), "rnn": rnn, "head": head}
            found = {f"{part}.{name}": g for part, grads in parts.items() for name, g in grads.parameters.items()}
            return Gradients(parts["before"].input, None, found)

        return output, None, pullback


def one(*layers: Any) -> Module:
    return S(*layers, nn.Linear(4, 1))


# Each case is a network, the shapes of inputs and targets, and options of `fit`. Sequences have 7 steps; in some cases
# there are also 7 of them, so that the shapes do not show the wrong axis.
ACROSS: dict[str, tuple[Callable[[], Any], Any, Any, dict[str, Any]]] = {
    "GRU": (lambda: one(GRU(3, 4)), (12, 7, 3), (12, 7, 1), {}),
    "as many steps as sequences": (lambda: one(GRU(3, 4)), (7, 7, 3), (7, 7, 1), {}),
    "behind others": (lambda: S(nn.Embedding(9, 3), S(S(LSTM(3, 4))), nn.Linear(4, 1)), (12, 7), (12, 7, 1), {}),
    "wrapped": (lambda: S(nn.Bidirectional(RNN(3, 4)), nn.Linear(8, 1)), (12, 7, 3), (12, 7, 1), {}),
    "with its head": (lambda: one(GRU(3, 4), nn.LastStep()), (7, 7, 3), (7, 1), {}),
    "batch_first and axis 1": (lambda: one(GRU(3, 4, **FIRST)), (7, 12, 3), (7, 12, 1), {"batch_axis": 1}),
    "axes from the end": (lambda: one(GRU(3, 4)), (12, 7, 3), (12, 7, 1), {"batch_axis": -3}),
    "of one's own": (lambda: Own(False), (7, 7, 3), (7, 7, 1), {}),
    "turned for nothing": (lambda: Own(True, **FIRST), (7, 7, 3), (7, 7, 1), {}),
    "a head of one's own": (lambda: Own(False, nn.LastStep(), **FIRST), (7, 7, 3), (7, 1), {}),
    "steps in random order": (lambda: one(GRU(3, 4, **FIRST)), (12, 3), (12, 1), {}),
}  # fmt: skip
ALONG: dict[str, tuple[Callable[[], Any], Any, Any, dict[str, Any]]] = {
    "batch_first": (lambda: one(GRU(3, 4, **FIRST), nn.LastStep(**FIRST)), (7, 7, 3), (7, 1), {}),
    "axis 1": (lambda: one(GRU(3, 4)), (7, 12, 3), (7, 12, 1), {"batch_axis": 1}),
    "a pair of axes": (lambda: one(GRU(3, 4), nn.LastStep()), (7, 12, 3), (12, 1), {"batch_axis": (1, 0)}),
    "moved": (lambda: one(nn.Permute((1, 0, 2)), GRU(3, 4), nn.LastStep()), (7, 7, 3), (7, 1), {}),
    "of one's own": (lambda: Own(False, **FIRST), (7, 7, 3), (7, 7, 1), {}),
    "turned": (lambda: Own(True), (7, 7, 3), (7, 7, 1), {}),
    "one sequence": (lambda: one(GRU(3, 4)), (12, 3), (12, 1), {"shuffle": False}),
    "no recurrent layer": (lambda: S(nn.Linear(3, 1)), (12, 7, 3), (12, 7, 1), {}),
}  # fmt: skip


def data_of(x: Any, y: Any) -> tuple[Array, Array]:
    return RANDOM.integers(0, 9, x) if len(x) == 2 and x[1] == 7 else draws(*x), draws(*y)


def twice(*args: Any, **options: Any) -> None:
    for _ in range(2):
        fit(*args, **COMMON, **options)


@pytest.mark.parametrize("name", ACROSS)
def test_training_across_the_batch_warns_once(name: str) -> None:
    make, x, y, options = ACROSS[name]
    model, data = make(), data_of(x, y)
    with pytest.warns(UserWarning, match=r"fit counts the sequences along axis|in random order") as told:
        twice(model, data, batch_size=7, **options)
    assert len(told) == 1
    assert told[0].filename == __file__


@pytest.mark.parametrize("name", ALONG)
def test_training_along_the_batch_does_not_warn(name: str) -> None:
    make, x, y, options = ALONG[name]
    fit(make(), data_of(x, y), batch_size=7, **COMMON, **options)  # every warning is an error here


def test_the_warning_names_the_layer_and_what_to_write() -> None:
    with pytest.warns(UserWarning, match=r"axis 0 .* GRU \(0\) .* takes \[T,B,C\].*batch_first=True.*batch_axis=1"):
        fit(one(GRU(3, 4)), [data_of((5, 7, 3), (5, 7, 1))] * 2, **COMMON)


def test_the_check_leaves_the_network_and_its_draws_as_they_are() -> None:
    class Counting(Own):
        calls = 0

        def vjp(self, x: Array) -> Any:
            self.calls += 1
            return super().vjp(x)

    model = Counting(False, nn.Dropout(0.5, seed=1), seed=0, **FIRST)
    fit(model, data_of((6, 5, 3), (6, 5, 1)), batch_size=6, epochs=1, progress=False)
    assert (model.calls, type(model.rnn), model.training) == (1, GRU, True)


X, CLASSES = draws(12, 4), np.arange(12) % 3
ANSWERS = (CLASSES > 0).astype(np.float32)[:, None]


class Ends(Module):
    """A custom network that ends with a Softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = S(nn.Linear(4, 3), nn.Softmax())

    def __call__(self, x: Array) -> Array:
        return self.layers(x)

    def vjp(self, x: Array) -> Any:
        output, _, way = self.layers.vjp(x)

        def pullback(grad: Array) -> Gradients:
            found = way(grad)
            return Gradients(None, None, {f"layers.{name}": value for name, value in found.parameters.items()})

        return output, None, pullback


@functools.wraps(cross_entropy)
def decorated(input: Array, target: Array) -> Any:
    return cross_entropy(input, target)


NESTED = functools.partial(functools.partial(cross_entropy, dim=-1), reduction="sum")


def soft() -> Module:
    return S(nn.Linear(4, 3), nn.Softmax())


BOUNDED: dict[str, tuple[Callable[[], Any], Array, Any, str]] = {
    "Softmax": (soft, CLASSES, cross_entropy, r"Softmax \(1\).*use categorical_cross"),
    "by name": (soft, CLASSES, "cross_entropy", r"Softmax \(1\)"),
    "partial": (soft, CLASSES, NESTED, "Softmax"),
    "decorated": (soft, CLASSES, decorated, r"Softmax"),
    "Sigmoid": (lambda: S(nn.Linear(4, 1), nn.Sigmoid()), ANSWERS, bce_with_logits, r"Sigmoid \(1\).*use bce_loss"),
    "of classes": (lambda: S(nn.Linear(4, 3), nn.Sigmoid()), CLASSES, cross_entropy, r"Sigmoid \(1\)"),
    "Activation": (lambda: S(nn.Linear(4, 1), nn.Activation("sigmoid")), ANSWERS, bce_with_logits, "Activation"),
    "hard": (lambda: S(nn.Linear(4, 1), nn.Activation("hard_sigmoid_keras3")), ANSWERS, bce_with_logits, "Activation"),
    "nested": (lambda: S(S(nn.Linear(4, 1)), S(S(nn.Sigmoid()))), ANSWERS, bce_with_logits, r"Sigmoid \(1\.0\.0\)"),
    "not the last": (lambda: S(nn.Linear(4, 3), nn.Softmax(), nn.Flatten()), CLASSES, cross_entropy, "Softmax"),
    "of one's own": (Ends, CLASSES, cross_entropy, r"Softmax \(layers\.1\)"),
    "log of one class": (lambda: S(nn.Linear(4, 1), nn.LogSoftmax()), ANSWERS, bce_with_logits, r"LogSoftmax \(1\)"),
    "nll of probabilities": (soft, CLASSES, nll_loss, "nn.LogSoftmax"),
    "nll of logits": (lambda: S(nn.Linear(4, 3)), CLASSES, "nll", "log-probabilities, which are at most 0"),
    "classes as answers": (lambda: S(nn.Linear(4, 1)), CLASSES[:, None], bce_with_logits, "0 to 2; .*cross_ent"),
}  # fmt: skip
FREE: dict[str, tuple[Callable[[], Any], Array, Any]] = {
    "logits": (lambda: S(nn.Linear(4, 3)), CLASSES, cross_entropy),
    "a gate inside": (lambda: S(nn.Linear(4, 3), nn.Sigmoid(), nn.Linear(3, 3)), CLASSES, cross_entropy),
    "LogSoftmax twice is the same": (lambda: S(nn.Linear(4, 3), nn.LogSoftmax()), CLASSES, cross_entropy),
    "nll": (lambda: S(nn.Linear(4, 3), nn.LogSoftmax()), CLASSES, "nll"),
    "bce": (lambda: S(nn.Linear(4, 1), nn.Sigmoid()), ANSWERS, "bce"),
    "Keras": (soft, CLASSES, "sparse_categorical_crossentropy"),
    "squares": (lambda: S(nn.Linear(4, 1), nn.Sigmoid()), ANSWERS, "mse"),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_an_activation_that_the_loss_does_not_take_warns_once(name: str) -> None:
    make, targets, loss, words = BOUNDED[name]
    model = make()
    with pytest.warns(UserWarning, match=words) as told:
        twice(model, (X, targets), loss=loss)
    assert len(told) == 1
    assert told[0].filename == __file__


@pytest.mark.parametrize("name", FREE)
def test_an_activation_that_the_loss_takes_does_not_warn(name: str) -> None:
    make, targets, loss = FREE[name]
    fit(make(), (X, targets), loss=loss, **COMMON)


AVERAGED: dict[str, list[Module]] = {
    "GlobalAveragePool1d": [nn.GlobalAveragePool1d(**FIRST)],
    "AvgPool1d": [nn.ChannelsLast(nn.AvgPool1d(6)), nn.Flatten()],
    "twice": [nn.Dropout(0.5), nn.ChannelsLast(nn.AvgPool1d(2)), nn.GlobalAveragePool1d(**FIRST)],
    "GlobalMaxPool1d": [nn.GlobalMaxPool1d(**FIRST)],
    "LastStep": [nn.LastStep(**FIRST)],
}


@pytest.mark.parametrize("name", AVERAGED)
def test_averaged_probabilities_in_place_of_logits_warn_too(name: str) -> None:
    model = S(nn.Linear(4, 3), nn.Softmax(), *AVERAGED[name])
    with pytest.warns(UserWarning, match=r"cross_entropy takes logits, and the model ends with Softmax \(1\)"):
        fit(model, (draws(8, 6, 4), np.arange(8) % 3), loss=cross_entropy, **COMMON)


def test_attention_whose_average_goes_on_does_not_warn() -> None:
    model = S(nn.Linear(4, 3), nn.Softmax(), nn.GlobalAveragePool1d(**FIRST), nn.Linear(3, 3))
    fit(model, (draws(8, 6, 4), np.arange(8) % 3), loss=cross_entropy, **COMMON)
    behind = S(nn.Linear(4, 3), nn.GlobalAveragePool1d(**FIRST))
    fit(behind, (draws(8, 6, 4), np.arange(8) % 3), loss=cross_entropy, **COMMON)


def test_a_loss_and_a_network_without_a_hash_are_checked_too() -> None:
    class Loss:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, output: Array, target: Array) -> Any:
            return mse_loss(output, target)

    class Unhashable(S):
        __hash__ = None  # type: ignore[assignment]

    model = Unhashable(GRU(3, 4), nn.Linear(4, 1))
    with pytest.warns(UserWarning, match="axis 0"):
        twice(model, data_of((12, 5, 3), (12, 5, 1)), loss=Loss())
