"""An accelerated Keras model computes and learns what Keras' own does, and restore gives it back."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("keras")
pytest.importorskip("torch")

import numpy as np
import torch
from keras_files import CLOSE, KERAS_WARNS, MASK, keras, sequences

import pyrnn.keras

pytestmark = KERAS_WARNS
L = keras.layers
KINDS = (L.GRU, L.LSTM, L.SimpleRNN)
CURVE = 1e-5  # losses of 20 steps in float32, which carry the rounding errors on

Making = Callable[[Any], Any]


def functional(kind: Any) -> Any:
    """An encoder whose states begin the decoder, with a nested model behind."""
    x = keras.Input((6, 4))
    _, *states = kind(5, return_state=True)(x)
    y = kind(5, return_sequences=True)(x, initial_state=states)
    head = keras.Sequential([keras.Input((6, 5)), kind(3), L.Dense(2)])
    return keras.Model(x, head(y))


# Without it Keras 3.15 raises an error in training: its faster loop overwrites the states that backward needs.
COPYING: dict[Any, Any] = {L.GRU: {"use_cudnn": False}, L.LSTM: {"use_cudnn": False}}

MODELS: dict[str, Making] = {
    "last": lambda kind: [kind(5)],
    "all steps": lambda kind: [kind(5, return_sequences=True), kind(3, return_sequences=True)],
    "bidirectional": lambda kind: [L.Bidirectional(kind(5, return_sequences=True)), L.Bidirectional(kind(3))],
    "go_backwards": lambda kind: [kind(5, go_backwards=True, return_sequences=True)],
    "mask": lambda kind: [L.Masking(), kind(5, return_sequences=True), kind(3)],
    "mask, zero output": lambda kind: [L.Masking(), kind(5, return_sequences=True, zero_output_for_mask=True)],
    "mask, zero last output": lambda kind: [L.Masking(), kind(5, zero_output_for_mask=True)],
    "mask, bidirectional": lambda kind: [L.Masking(), L.Bidirectional(kind(5, return_sequences=True))],
    "mask, go_backwards": lambda kind: [L.Masking(), kind(5, go_backwards=True)],
    "no bias": lambda kind: [kind(5, use_bias=False)],
    "relu": lambda kind: [kind(5, activation="relu")],
    "linear": lambda kind: [kind(5, activation=None)],
    "stateful": lambda kind: [kind(5, stateful=True, **COPYING.get(kind, {}))],
    "unrolled": lambda kind: [kind(5, unroll=True)],
    "cell": lambda kind: [L.RNN(kind(5).cell, return_sequences=True)],
    "dropout": lambda kind: [kind(5, dropout=0.4, seed=1)],
    "recurrent_dropout": lambda kind: [kind(5, dropout=0.4, recurrent_dropout=0.4, seed=1)],
    "float64": lambda kind: [kind(5, dtype="float64")],
    "functional": functional,
}
GATED: dict[str, Making] = {
    "hard_sigmoid": lambda kind: [kind(5, recurrent_activation="hard_sigmoid")],
    "sigmoid": lambda kind: [kind(5, activation="sigmoid", recurrent_activation="relu")],
}
CASES = [(kind, name) for kind in KINDS for name in MODELS] + [(kind, name) for kind in KINDS[:2] for name in GATED]
CASES += [(L.GRU, "reset before"), (L.GRU, "a dropout mask for each gate")]
MAKINGS: dict[str, Making] = {
    **MODELS,
    **GATED,
    "reset before": lambda kind: [kind(5, reset_after=False, return_sequences=True), kind(3, reset_after=False)],
    "a dropout mask for each gate": lambda kind: [kind(5, dropout=0.4, implementation=1, seed=1, use_cudnn=False)],
}


def made(kind: Any, name: str) -> Any:
    """A model with random weights and biases, the same at every call."""
    keras.utils.set_random_seed(0)
    model = MAKINGS[name](kind)
    if isinstance(model, list):
        batch = {"batch_size": len(MASK)} if name == "stateful" else {}
        model = keras.Sequential([keras.Input((6, 4), **batch), *model])
    draw = np.random.default_rng(0)
    model.set_weights([draw.normal(0, 0.4, weight.shape) for weight in model.get_weights()])
    if name == "stateful":
        model.layers[0].reset_state()
    return model


def curve(model: Any, x: np.ndarray, steps: int = 20) -> list[float]:
    """The losses of 20 steps of fit."""
    found: list[float] = []
    target = np.random.default_rng(5).normal(size=model(x[: len(MASK)]).shape).astype(np.float32)
    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: found.append(logs["loss"]))
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    keras.utils.set_random_seed(1)
    model.fit(x, target, batch_size=len(x), epochs=steps, shuffle=False, verbose=0, callbacks=[note])
    return found


@pytest.mark.parametrize(("kind", "name"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_fit_and_predict_are_those_of_keras(kind: Any, name: str) -> None:
    x, curves, outputs = sequences(), [], []
    for accelerated in (False, True):
        model = made(kind, name)
        if accelerated:
            report = pyrnn.keras.accelerate(model)
            assert report.swapped
            assert not report.left
        outputs.append(model.predict(x, verbose=0, batch_size=len(x)))
        curves.append(curve(model, x))
        outputs.append(model.predict(x, verbose=0, batch_size=len(x)))
    np.testing.assert_allclose(curves[1], curves[0], rtol=0, atol=CURVE)
    np.testing.assert_allclose(outputs[2], outputs[0], **CLOSE)
    np.testing.assert_allclose(outputs[3], outputs[1], rtol=0, atol=1e-4)  # 20 steps of Adam in between


@pytest.mark.parametrize("kind", KINDS)
def test_states_are_those_of_keras_with_an_initial_state_and_a_mask(kind: Any) -> None:
    layer = kind(5, return_sequences=True, return_state=True)
    x, mask = keras.ops.convert_to_tensor(sequences()), keras.ops.convert_to_tensor(MASK)
    states = [torch.randn(len(MASK), 5, requires_grad=True) for _ in range(1 + (kind is L.LSTM))]
    found = []
    for accelerated in (False, True):
        layer(x)
        if accelerated:
            pyrnn.keras.accelerate(layer)
        outputs = layer(x, initial_state=states, mask=mask)
        weighted = sum((output * (1 + output.detach())).sum() for output in outputs)
        tensors = [*states, *(variable.value for variable in layer.trainable_variables)]
        found.append([*outputs, *torch.autograd.grad(weighted, tensors)])
    for ours, theirs in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["last", "reset before"])
def test_second_derivatives_are_those_of_keras(name: str) -> None:
    found = []
    for accelerated in (False, True):
        model = made(L.GRU, name)
        if accelerated:
            pyrnn.keras.accelerate(model)
        x = torch.tensor(sequences(), requires_grad=True)
        (slope,) = torch.autograd.grad(model(x).square().sum(), x, create_graph=True)
        found.append(torch.autograd.grad(slope.square().sum(), x)[0])
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5)


def test_kernels_compute_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    model = made(L.LSTM, "functional")
    pyrnn.keras.accelerate(model)
    monkeypatch.setattr(L.LSTMCell, "call", None)
    monkeypatch.setattr(keras.src.backend, "lstm", None)
    model.predict(sequences(), verbose=0)
    curve(model, sequences(), 1)


def test_files_of_an_accelerated_model_are_those_of_keras(tmp_path: Path) -> None:
    model, x = made(L.GRU, "bidirectional"), sequences()
    model.save(tmp_path / "before.keras")
    pyrnn.keras.accelerate(model)
    model.save(tmp_path / "after.keras")
    before, after = (zipfile.ZipFile(tmp_path / f"{name}.keras") for name in ("before", "after"))
    assert before.read("config.json") == after.read("config.json")
    loaded = keras.models.load_model(tmp_path / "after.keras")
    assert pyrnn.keras.restore(loaded) == []
    np.testing.assert_allclose(model.predict(x, verbose=0), loaded.predict(x, verbose=0), **CLOSE)
    model.load_weights(tmp_path / "before.keras")
    assert pyrnn.keras.restore(keras.models.clone_model(model)) == []


def test_weights_that_change_are_seen_at_the_next_call() -> None:
    model, other, x = made(L.LSTM, "last"), made(L.LSTM, "last"), sequences()
    pyrnn.keras.accelerate(model)
    model.predict(x, verbose=0)
    for one in (model, other):
        one.layers[0].cell.kernel.assign(one.layers[0].cell.kernel * 0.5)
    np.testing.assert_allclose(model.predict(x, verbose=0), other.predict(x, verbose=0), **CLOSE)


def test_restore_gives_back_what_was_there() -> None:
    model = made(L.GRU, "bidirectional")
    fields = [dict(layer.__dict__) for layer in model._flatten_layers()]
    report = pyrnn.keras.accelerate(model)
    assert pyrnn.keras.accelerate(model).swapped == {}
    assert pyrnn.keras.restore(model) == list(report.swapped)
    assert len(report.swapped) == 4
    assert [dict(layer.__dict__) for layer in model._flatten_layers()] == fields


class OwnLoop(L.GRU):
    def inner_loop(self, *args: Any, **keywords: Any) -> Any:
        return super().inner_loop(*args, **keywords)


class Named(L.LSTM):
    """A subclass that keeps Keras' loop."""


def test_layers_that_compute_something_else_are_left_with_the_reason() -> None:
    by_hand = L.GRU(3, name="by_hand", return_sequences=True)
    by_hand.__dict__["inner_loop"] = by_hand.inner_loop
    stacked = L.RNN([L.GRUCell(3), L.LSTMCell(3)], name="stacked", return_sequences=True)
    layers = [OwnLoop(3, name="own", return_sequences=True), Named(3, name="named", return_sequences=True), by_hand,
              L.GRU(3, activation="gelu", name="gelu", return_sequences=True), stacked]  # fmt: skip
    model = keras.Sequential(layers, name="m")
    report = pyrnn.keras.accelerate(model)
    assert report.swapped == {"named": "Named"}
    assert report.left == {
        "own": "OwnLoop has an inner_loop of its own, which may compute anything",
        "by_hand": "its inner_loop was replaced by hand",
        "gelu": "activation=gelu; the kernels know tanh, sigmoid, relu, linear and hard_sigmoid",
        "stacked": "its cell is a StackedRNNCells; the kernels know SimpleRNNCell, LSTMCell, GRUCell",
    }


def test_a_report_tells_what_was_swapped_before_and_speaks_of_keras_layers() -> None:
    model = keras.Sequential([keras.Input((6, 3)), L.GRU(5, name="gru")], name="m")
    pyrnn.keras.accelerate(model)
    assert str(pyrnn.keras.accelerate(model)).splitlines()[1] == "m/gru  swapped before  GRU"
    assert "the model has no GRU, LSTM, SimpleRNN or RNN layer" in str(pyrnn.keras.accelerate(L.Dense(3)))


def test_explain_names_the_reason_of_a_call_that_keras_computes() -> None:
    x = sequences()
    layer = L.LSTM(5)
    assert "not accelerated" in pyrnn.keras.explain(layer, x)
    pyrnn.keras.accelerate(layer)
    assert "no weights yet" in pyrnn.keras.explain(layer, x)
    layer(x)
    assert pyrnn.keras.explain(layer, x, mask=MASK) == "pyrnn's kernels: the call is covered."
    assert "covered" in pyrnn.keras.explain(layer, x.astype(np.float64))  # Keras casts it
    assert "Keras' own: the input is of shape" in pyrnn.keras.explain(layer, x[:, :, 1:])
    half = L.GRU(5, dtype="mixed_bfloat16")
    half(x)
    pyrnn.keras.accelerate(half)
    assert half(x).dtype is torch.bfloat16
    assert "Keras' own: the input is of torch.bfloat16" in pyrnn.keras.explain(half, x)


def test_what_is_no_keras_model_raises_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="got the class GRU"):
        pyrnn.keras.accelerate(L.GRU)
    with pytest.raises(TypeError, match=r"got LSTM; for torch's see pyrnn.torch.restore"):
        pyrnn.keras.restore(torch.nn.LSTM(2, 3))
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="Keras computes with jax here"):
        pyrnn.keras.accelerate(L.GRU(3))
