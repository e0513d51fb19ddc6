"""Models saved by Keras 3 and read by pyrnn.io.keras give the same predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("keras")

import numpy as np
from keras_files import KERAS_WARNS, agrees, built, images, sequences, words
from keras_layers import AROUND, BIDIRECTIONAL, CELLS, ON_IMAGES, OPTIONS, RECURRENT, L, Make

pytestmark = KERAS_WARNS


MASKED: dict[str, Make] = {
    f"{cell}, {how}": lambda make=make, options=OPTIONS[how]: [make(**options), L.Dense(3)]
    for cell, make in CELLS.items()
    for how in ("last", "all", "backwards", "all backwards")
}
MASKED |= {
    f"bidirectional, {merge}, {how}": lambda merge=merge, options=OPTIONS[how]: [
        L.Bidirectional(L.LSTM(5, **options), merge_mode=merge)
    ]
    for merge in ("concat", "mul")
    for how in ("last", "all")
}
MASKED |= {
    "zero output": lambda: [L.LSTM(5, return_sequences=True, zero_output_for_mask=True)],
    "stack": lambda: [L.LSTM(5, return_sequences=True), L.Dense(4, activation="sigmoid"), L.BatchNormalization(),
                      L.SpatialDropout1D(0.3), L.LayerNormalization(), L.GRU(4, return_sequences=True),
                      L.SimpleRNN(3)],
    "through time distributed": lambda: [L.TimeDistributed(L.Dense(3)), L.Bidirectional(L.GRU(2))],
    "ended by conv": lambda: [L.Conv1D(3, 2), L.GRU(4)],
    "ended by pooling": lambda: [L.LSTM(5, return_sequences=True), L.MaxPooling1D(2), L.LSTM(3)],
    "ended by reshape": lambda: [L.Reshape((6, -1)), L.LSTM(5)],
    "not heeded by max": lambda: [L.LSTM(5, return_sequences=True), L.GlobalMaxPooling1D()],
    "flattened": lambda: [L.LSTM(5, return_sequences=True), L.Flatten(), L.Dense(2)],
}  # fmt: skip


@pytest.fixture(params=[".keras", ".h5"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"model{request.param}"


def check(layers: list[Any], x: np.ndarray, path: Path, **how: bool) -> None:
    model = built(layers, x, **how)
    model.save(path)
    agrees(path, model, x)


@pytest.mark.parametrize("case", RECURRENT)
def test_recurrent_layers_predict_what_keras_does(case: str, path: Path) -> None:
    check(RECURRENT[case](), sequences(), path)


@pytest.mark.parametrize("case", BIDIRECTIONAL)
def test_bidirectional_layers_predict_what_keras_does(case: str, path: Path) -> None:
    check(BIDIRECTIONAL[case](), sequences(), path)


@pytest.mark.parametrize("case", AROUND)
def test_layers_around_recurrent_ones_predict_what_keras_does(case: str, path: Path) -> None:
    check(AROUND[case](), sequences(), path)


@pytest.mark.parametrize("case", ON_IMAGES)
def test_layers_on_images_predict_what_keras_does(case: str, path: Path) -> None:
    check(ON_IMAGES[case](), images(), path)


@pytest.mark.parametrize("case", MASKED)
def test_masks_with_front_padding_and_holes_act_as_in_keras(case: str, path: Path) -> None:
    check([L.Masking(), *MASKED[case]()], sequences(), path)


@pytest.mark.parametrize("case", MASKED)
def test_masks_of_an_embedding_act_as_in_keras(case: str, path: Path) -> None:
    check([L.Embedding(9, 4, mask_zero=True), *MASKED[case]()], words(), path)


def test_averages_leave_masked_steps_out_as_keras_does(path: Path) -> None:
    x = words()[[0, 1, 2, 4]]  # Keras makes NaN of a sequence whose steps are all masked
    check([L.Embedding(9, 4, mask_zero=True), L.GRU(5, return_sequences=True), L.GlobalAveragePooling1D()], x, path)


def test_a_mask_value_other_than_zero_masks_as_in_keras(path: Path) -> None:
    x = np.where(sequences() == 0, np.float32(0.1), sequences())
    check([L.Masking(0.1), L.LSTM(5, return_sequences=True)], x, path)


@pytest.mark.parametrize("cell", CELLS)
def test_stateful_layers_start_from_zeros(cell: str, path: Path) -> None:
    check([CELLS[cell](stateful=True, return_sequences=True)], sequences(), path, batched=True)


@pytest.mark.parametrize("make", [AROUND["conv"], RECURRENT["stack"], BIDIRECTIONAL["stack"]])
def test_functional_models_that_are_a_chain_predict_what_keras_does(make: Make, path: Path) -> None:
    check(make(), sequences(), path, functional=True)


@pytest.mark.parametrize("case", MASKED)
def test_masks_in_functional_models_act_as_in_keras(case: str, tmp_path: Path) -> None:
    check([L.Masking(), *MASKED[case]()], sequences(), tmp_path / "model.keras", functional=True)
    check([L.Embedding(9, 4, mask_zero=True), *MASKED[case]()], words(), tmp_path / "model.h5", functional=True)


def test_models_of_float64_stay_float64(path: Path) -> None:
    layers = [L.LSTM(5, dtype="float64", return_sequences=True), L.Dense(2, dtype="float64")]
    x = sequences().astype(np.float64)
    model = built(layers, x)
    model.save(path)
    loaded = agrees(path, model, x)
    assert loaded(x).dtype == np.float64


def test_momentum_and_dropout_rates_are_kept_for_further_training(path: Path) -> None:
    model = built([L.BatchNormalization(momentum=0.9), L.Dropout(0.3), L.SpatialDropout1D(0.2)], sequences())
    model.save(path)
    norm, dropout, spatial = agrees(path, model, sequences())
    # Keras' momentum is the weight of the old mean, torch's that of the new one.
    assert norm.layer.momentum == pytest.approx(0.1, abs=1e-15)
    assert (dropout.p, spatial.p, spatial.batch_first) == (0.3, 0.2, True)


def test_a_loaded_model_is_in_evaluation_mode_and_has_keras_names(path: Path) -> None:
    model = built(
        [L.LSTM(5, name="the lstm"), L.Dropout(0.5, name="config"), L.Dense(2, "softmax", name="out")], sequences()
    )
    model.save(path)
    loaded = agrees(path, model, sequences())
    assert not any(module.training for _, module in loaded.named_modules())
    assert list(loaded._modules) == ["the_lstm", "the_lstm_last_step", "config_", "out", "out_softmax"]
