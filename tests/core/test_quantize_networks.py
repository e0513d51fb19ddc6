"""Quantized networks: their errors after training, reports, copies, pickles and refusals."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
import quantized
from cases import Array, Config
from drawn import CELLS, same_bytes

import pyrnn
from pyrnn import QuantizationError, Quantized, nn, train

FORMATS = ("bf16", "int8")
LEAST = {"bf16": 40.0, "int8": 30.0}  # the least signal-to-noise ratio in dB on a network of usual weights and inputs


def inputs(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def network(**more: Any) -> nn.Sequential:
    """A network with recurrent layers in the outer and an inner Sequential and in Bidirectional, among others."""
    both = nn.Bidirectional(pyrnn.GRU(4, 6, seed=1), merge_mode="sum", seed=2)
    inner = nn.Sequential({"rnn": pyrnn.RNN(6, 8, seed=3, **more)})
    layers = [nn.Linear(3, 4, seed=0), both, inner, nn.Dropout(0.5), pyrnn.LSTM(8, 5, 2, dropout=0.5, seed=4)]
    return nn.Sequential(*layers, nn.LastStep(), nn.Linear(5, 2, seed=5))


# -- how good ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_fresh_network_keeps_the_promised_signal_to_noise_ratio(cell: str, format: str) -> None:
    layer = Config(cell, 2, I=32, H=64, P=24, dtype=np.float32).pyrnn_layer(seed=0)
    assert layer.quantize(format).error(inputs(60, 4, 32)).snr_db >= LEAST[format]


@pytest.fixture(scope="module", params=["LSTM", "GRU"])
def trained(request: pytest.FixtureRequest) -> nn.Sequential:
    """A network trained to add the marked numbers of a sequence (the task of Hochreiter & Schmidhuber 1997)."""
    rng = np.random.default_rng(0)
    x = np.stack([rng.uniform(-1, 1, (512, 20)), rng.random((512, 20)) < 0.2], axis=-1).astype(np.float32)
    target = (x[..., :1] * x[..., 1:]).sum(axis=1)
    layer = getattr(pyrnn, request.param)(2, 32, batch_first=True, seed=0)
    model = nn.Sequential(layer, nn.LastStep(batch_first=True), nn.Linear(32, 1, seed=1))
    optimizer = train.Adam(model, lr=1e-2)
    history = train.fit(model, (x, target), epochs=15, optimizer=optimizer, batch_size=32, seed=0)
    assert history.train_loss[-1] < 0.1 * history.train_loss[0]  # it has learnt
    return model


@pytest.mark.parametrize("format", FORMATS)
def test_a_trained_network_keeps_the_promised_signal_to_noise_ratio(trained: nn.Sequential, format: str) -> None:
    rng = np.random.default_rng(1)
    x = np.stack([rng.uniform(-1, 1, (64, 20)), rng.random((64, 20)) < 0.2], axis=-1).astype(np.float32)
    assert trained[0].quantize(format).error(x).snr_db >= LEAST[format]
    assert trained.quantize(format, x).report.snr_db >= LEAST[format]


@pytest.mark.parametrize(("format", "share"), [("bf16", 0.5), ("int8", 0.25)])
@pytest.mark.parametrize("cell", CELLS)
def test_quantized_weights_take_the_promised_share_of_memory(cell: str, format: str, share: float) -> None:
    layer = Config(cell, I=64, H=64, P=32, dtype=np.float32).pyrnn_layer()
    matrices = sum(value.nbytes for name, value in layer.parameters().items() if quantized.is_quantized(name))
    others = sum(value.nbytes for value in layer.parameters().values()) - matrices
    rows = 2 * 4 * layer.weight_ih_l0.shape[0]
    # Added to the matrices are biases and W_hr, padded to whole vectors and panels, and a scale and a sum per row.
    most = share * matrices + 4 * others + 2 * 2 * 4 * rows
    assert share * matrices <= layer.quantize(format).nbytes <= most


# -- the error ---------------------------------------------------------------------------------------------


def test_the_reported_error_is_that_of_the_outputs() -> None:
    layer, x = pyrnn.GRU(5, 7, bidirectional=True, seed=0), inputs(9, 3, 5)
    h0 = inputs(2, 3, 7)
    small = layer.quantize("int8", x)
    y, y_q = layer(x)[0].astype(float), small(x)[0]
    assert small.report == small.error(x) == QuantizationError.between(y, y_q)
    assert small.report.maximum == np.abs(y - y_q).max()
    # Both are sums of a few hundred squares in float64, in an order of their own.
    assert math.isclose(small.report.snr_db, 10 * math.log10((y**2).sum() / ((y - y_q) ** 2).sum()), rel_tol=1e-12)
    options = {"lengths": [9, 4, 0]}
    given = QuantizationError.between(layer(x, h0, **options)[0], small(x, h0, **options)[0])
    assert small.error(x, h0, **options) == given != small.report
    assert layer.quantize("int8").report is None


def test_the_ratio_without_noise_or_signal_is_infinite() -> None:
    one, none = np.ones(3, np.float32), np.zeros(3, np.float32)
    assert QuantizationError.between(one, one) == QuantizationError(0.0, math.inf)
    assert QuantizationError.between(none, one) == QuantizationError(1.0, -math.inf)
    assert QuantizationError.between(none[:0], none[:0]) == QuantizationError(0.0, math.inf)
    assert str(QuantizationError(0.00123, 41.26)) == (
        "The outputs differ from those of float32 by at most 0.0012; the signal-to-noise ratio is 41.3 dB."
    )


# -- layers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_quantizing_leaves_the_layer_as_it_is(format: str) -> None:
    layer, x = pyrnn.LSTM(4, 6, 2, dropout=0.5, seed=0), inputs(5, 2, 4)
    before, twin = {**layer.__dict__}, pyrnn.LSTM(4, 6, 2, dropout=0.5, seed=0)
    small = layer.quantize(format, x)
    y = small(x)
    assert same_bytes(small(x), y)  # without dropout, though the layer is in training mode
    small.weight_hh_l0 = np.zeros((24, 6))
    assert not same_bytes(small(x), y)
    assert {name: value for name, value in layer.__dict__.items() if name != "_packed"} == before
    assert same_bytes(layer(x), twin(x))
    assert same_bytes(layer.state_dict(), twin.state_dict())


@pytest.mark.parametrize("format", FORMATS)
def test_a_quantized_layer_does_not_see_later_weights(format: str) -> None:
    layer, x = pyrnn.GRU(4, 6, seed=0), inputs(5, 2, 4)
    small = layer.quantize(format)
    expected = small(x)
    layer.weight_hh_l0 = np.zeros((18, 6))
    assert same_bytes(small(x), expected)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda q: pickle.loads(pickle.dumps(q))])
def test_a_copy_or_pickle_computes_and_reports_the_same(copied: Any, format: str) -> None:
    x = inputs(5, 2, 4)
    small = pyrnn.LSTM(4, 6, seed=0).quantize(format, x)
    twin = copied(small)
    assert type(twin) is Quantized
    assert (repr(twin), twin.format, twin.report, twin.nbytes) == (repr(small), format, small.report, small.nbytes)
    assert same_bytes(twin(x), small(x))
    assert same_bytes(twin.unquantized()(x), pyrnn.LSTM(4, 6, seed=0)(x))


def test_batch_first_and_masked_output_are_the_layers() -> None:
    layer = pyrnn.RNN(4, 6, batch_first=True, masked_output="hold", seed=0)
    small, x = layer.quantize("int8"), inputs(2, 5, 4)
    y, _ = small(x, lengths=[5, 3])
    assert y.shape == (2, 5, 6)
    assert same_bytes(y[1, 3:], np.stack([y[1, 2]] * 2))
    stream = small.stream(2)
    assert same_bytes((stream.run(x[:, :3]), stream.step(x[:, 3])), (small(x)[0][:, :3], small(x)[0][:, 3]))
    assert repr(small) == "Quantized(RNN(4, 6, batch_first=True, masked_output=hold), format='int8')"
    assert list(small.state_dict()) == list(layer.state_dict())


# -- networks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_a_quantized_network_computes_as_its_layers_one_by_one(format: str) -> None:
    model, x = network(), inputs(7, 3, 3)
    before = model.state_dict()
    small = model.quantize(format, x)
    found = [type(module).__name__ for _, module in small.named_modules()]
    assert found.count("Quantized") == 4
    by_hand = model[0](x)
    front, back = (getattr(model[1], side).quantize(format) for side in ("forward", "backward"))
    by_hand = front(by_hand)[0] + back(by_hand[::-1])[0][::-1]
    by_hand = model[2]["rnn"].quantize(format)(by_hand)[0]
    by_hand = model[6](model[4].quantize(format)(by_hand)[0][-1])
    assert same_bytes(small(x), by_hand)
    assert same_bytes(small.predict(x, batch_size=2, batch_axis=(1, 0)), by_hand)
    exact = model.predict(x, batch_axis=(1, 0))
    assert small.report == small.error(x) == QuantizationError.between(exact, small(x))
    parts = sum(module.nbytes for _, module in small.named_modules() if type(module) is Quantized)
    assert small.nbytes == parts + sum(
        value.nbytes for layer in (model[0], model[6]) for value in layer._held().values()
    )
    assert model.training
    assert same_bytes(model.state_dict(), before)
    assert same_bytes(small.state_dict(), before)
    assert repr(small).startswith(f"QuantizedSequential(\n  format='{format}'\n  (0): Linear(")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda q: pickle.loads(pickle.dumps(q))])
def test_a_copy_or_pickle_of_a_network_computes_and_reports_the_same(copied: Any) -> None:
    x = inputs(7, 3, 3)
    small = network().quantize("int8", x)
    twin = copied(small)
    assert same_bytes(twin(x), small(x))
    assert (twin.report, twin.error(x), twin.nbytes) == (small.report, small.report, small.nbytes)


def test_masks_reach_the_layers() -> None:
    ids = np.array([[3, 1, 4, 0, 0], [1, 5, 9, 2, 6]])
    lstm = pyrnn.LSTM(4, 6, batch_first=True, seed=1)
    layers = [nn.Embedding(10, 4, mask_zero=True, seed=0), lstm, nn.LastStep(batch_first=True)]
    small = nn.Sequential(*layers).quantize("int8", ids)
    assert same_bytes(small(ids)[:1], small(ids[:1, :3]))
    assert small.report.snr_db >= LEAST["int8"]


# -- refusals ----------------------------------------------------------------------------------------------

GRU = pyrnn.GRU(3, 4, seed=0)
SMALL = GRU.quantize("int8")
NETWORK = nn.Sequential(GRU)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: GRU.quantize("int4"), ValueError, 'format should be "bf16" or "int8", got \'int4\''),
        (lambda: GRU.quantize(8), ValueError, 'format should be "bf16" or "int8", got 8'),
        (lambda: NETWORK.quantize("float16"), ValueError, 'format should be "bf16" or "int8", got \'float16\''),
        (
            lambda: pyrnn.GRU(3, 4, dtype=np.float64).quantize("bf16"),
            ValueError,
            "a layer to quantize should be of float32, got float64; make one with dtype=np.float32 and load the "
            "state dict into it",
        ),
        (
            lambda: SMALL.quantize("bf16"),
            ValueError,
            "the layer is quantized already, to int8; quantize the float32 layer it is of",
        ),
        (
            lambda: GRU.quantize("int8", [[1.0]]),
            TypeError,
            "GRU: input should be a NumPy array, got list; write np.asarray(...)",
        ),
        (
            lambda: SMALL.vjp(inputs(2, 1, 3)),
            AttributeError,
            "a quantized layer has no vjp, it is for inference; train the float32 layer and quantize it",
        ),
        (
            lambda: SMALL.trace(inputs(2, 1, 3)),
            AttributeError,
            "a quantized layer has no trace, it keeps no gates; trace the float32 layer",
        ),
        (
            lambda: nn.Sequential(nn.Tanh()).quantize("int8"),
            ValueError,
            "there is no RNN, LSTM or GRU in this Sequential to quantize",
        ),
        (
            lambda: NETWORK.quantize("bf16").vjp(inputs(2, 1, 3)),
            AttributeError,
            "a quantized network has no vjp, it is for inference; train the float32 one and quantize it",
        ),
        (lambda: SMALL.stream(-1), ValueError, "batch should be from 0 to 2147483647, got -1"),
    ],
)
def test_wrong_calls_are_refused_with_what_to_do(call: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == sentence


def test_a_refusal_names_the_layer() -> None:
    with pytest.raises(ValueError, match="should be of float32, got float64") as caught:
        network(dtype=np.float64).quantize("int8")
    assert caught.value.__notes__ == ["in layer 'rnn', RNN", "in layer '2', Sequential"]


@pytest.mark.parametrize("format", FORMATS)
def test_the_core_refuses_to_record(format: str) -> None:
    weights = GRU.quantize(format)._weights()
    with pytest.raises(ValueError, match="inference"):
        weights.run(inputs(2, 1, 3), [], False, [], True)
