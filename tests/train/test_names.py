"""`fit` and `predict` take data, losses and optimizers as users of other packages give them, or say what to write."""

from __future__ import annotations

import functools
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("pandas")

import numpy as np
import pandas as pd
import torch

from pyrnn import GRU, Module, nn, train
from pyrnn.train import fit
from pyrnn.train.names import OTHERS, loss_named, optimizer_for

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 5, (12, 3))
Y = RANDOM.standard_normal((12, 1)).astype(np.float32)
CLASSES = np.arange(12) % 3
FLOATS = X.astype(np.float32)


def linear(outputs: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, outputs, seed=0))


def weights_after(data: Any, targets: Any = None, outputs: int = 1, **options: Any) -> Any:
    model = linear(outputs)
    fit(model, data, targets, **{"epochs": 2, "seed": 0, "progress": False, **options})
    return model["0"].weight


FORMS: dict[str, Any] = {
    "integers": X,
    "bytes": X.astype(np.uint8),
    "float64": X.astype(float),
    "list": X.tolist(),
    "tensor": torch.tensor(X),
    "tensor with a gradient": torch.tensor(FLOATS, requires_grad=True),
    "bfloat16": torch.tensor(X).bfloat16(),
    "DataFrame": pd.DataFrame(X),
    "DataFrame of objects": pd.DataFrame(X).astype(object),
    "nullable integers": pd.DataFrame(X).astype("Int64"),
}


@pytest.mark.parametrize("name", FORMS)
def test_inputs_of_every_form_train_and_predict_as_the_array_of_floats_does(name: str) -> None:
    expected = weights_after((FLOATS, Y))
    for data in ((FORMS[name], Y), (FORMS[name], Y.tolist()), (FORMS[name], pd.DataFrame(Y))):
        np.testing.assert_array_equal(weights_after(data), expected)
    np.testing.assert_array_equal(weights_after(FORMS[name], Y), expected)
    np.testing.assert_array_equal(linear().predict(FORMS[name]), linear().predict(FLOATS))


def test_integers_stay_integers_for_an_embedding_and_for_a_network_of_ones_own() -> None:
    class Own(Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.seen = nn.Sequential(nn.Embedding(5, 2), nn.Flatten(), nn.Linear(6, 1)), set[Any]()

        def __call__(self, x: Any) -> Any:
            return self.layers(x)

        def vjp(self, x: Any) -> Any:
            self.seen.add(x.dtype)
            output, _, way = self.layers.vjp(x)
            names = lambda found: {f"layers.{name}": value for name, value in found.parameters.items()}  # noqa: E731
            return output, None, lambda grad: way(grad)._replace(parameters=names(way(grad)))

    model = Own()
    fit(model, X.tolist(), Y, epochs=1, progress=False)
    assert model.seen == {np.dtype(np.int64)}
    assert model.layers.predict(X.tolist()).shape == (12, 1)


def test_two_samples_in_lists_are_no_two_batches() -> None:
    expected = weights_after((FLOATS[:2], Y[:2]))
    np.testing.assert_array_equal(weights_after((X[:2].tolist(), Y[:2].tolist())), expected)
    batches = [(FLOATS[:6], Y[:6]), (FLOATS[6:], Y[6:])]
    expected = weights_after(batches)
    for form in (tuple(batches), [list(batch) for batch in batches], [(x.tolist(), y.tolist()) for x, y in batches]):
        np.testing.assert_array_equal(weights_after(form), expected)


LABELS: dict[str, Any] = {
    "a column": CLASSES[:, None],
    "floats": CLASSES.astype(float),
    "a column of floats": CLASSES[:, None].astype(np.float32),
    "bytes": CLASSES.astype(np.uint8),
    "one-hot integers": np.eye(3, dtype=int)[CLASSES],
    "one-hot bools": np.eye(3, dtype=bool)[CLASSES],
    "one-hot floats": np.eye(3)[CLASSES],
    "a list": CLASSES.tolist(),
    "a Series": pd.Series(CLASSES),
    "categories": pd.Series(CLASSES).astype("category"),
}


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("loss", ["cross_entropy", "sparse_categorical_crossentropy"])
def test_labels_of_every_form_are_the_class_indices(loss: str, name: str) -> None:
    function = loss_named(loss)
    input = RANDOM.uniform(0.1, 1, (12, 3))
    value, gradient = function(input, CLASSES)
    model = nn.Sequential(nn.Linear(3, 3, seed=0), *([nn.Softmax()] if loss.startswith("sparse") else []))
    fit(model, X, LABELS[name], loss=loss, epochs=1, progress=False)
    if name not in ("categories", "a Series"):
        found = function(input, np.asarray(LABELS[name]))
        assert found[0] == pytest.approx(value, rel=1e-15)
        np.testing.assert_allclose(found[1], gradient, rtol=1e-15)


def test_bools_are_taken_as_zeros_and_ones() -> None:
    answers = CLASSES > 0
    for loss in ("mse", "bce_with_logits"):
        expected = weights_after((FLOATS, answers[:, None].astype(np.float32)), loss=loss)
        np.testing.assert_array_equal(weights_after((FLOATS, answers[:, None]), loss=loss), expected)


NAMES = {
    "mse": train.mse_loss,
    "MSELoss": train.mse_loss,
    "mean_squared_error": train.mse_loss,
    "mae": train.l1_loss,
    "L1Loss": train.l1_loss,
    "mean_absolute_error": train.l1_loss,
    "huber": train.huber_loss,
    "Cross-Entropy": train.cross_entropy,
    "CrossEntropyLoss": train.cross_entropy,
    "bce_with_logits": train.bce_with_logits,
    "BCEWithLogitsLoss": train.bce_with_logits,
    "nll_loss": train.nll_loss,
    "NLLLoss": train.nll_loss,
    "bce": train.bce_loss,
    "categorical_crossentropy": train.categorical_crossentropy,
    "sparse_categorical_crossentropy": train.categorical_crossentropy,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_may_be_named(name: str) -> None:
    assert loss_named(name) is NAMES[name]


def test_a_loss_by_name_trains_as_the_function_does() -> None:
    np.testing.assert_array_equal(
        weights_after((FLOATS, Y), loss="mae"), weights_after((FLOATS, Y), loss=train.l1_loss)
    )


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("adam", train.Adam),
        ("Adam", train.Adam),
        ("adamw", train.AdamW),
        ("SGD", functools.partial(train.SGD, lr=0.01)),
        (train.AdamW, train.AdamW),
        (train.SGD, functools.partial(train.SGD, lr=0.01)),
        (functools.partial(train.SGD, lr=0.1), functools.partial(train.SGD, lr=0.1)),
    ],
)
def test_an_optimizer_may_be_named_or_a_class(given: Any, made: Any) -> None:
    model = linear()
    expected = fit(model, FLOATS, Y, optimizer=made(model), epochs=2, seed=0, progress=False)
    twin = linear()
    found = fit(twin, FLOATS, Y, optimizer=given, epochs=2, seed=0, progress=False)
    assert (found.train_loss, found.lr) == (expected.train_loss, expected.lr)
    assert type(optimizer_for(twin, given)) is type(made(model))


def once(*data: Any, **options: Any) -> Any:
    return fit(linear(), *data, **{"epochs": 1, "progress": False, **options})


MASKED = np.ma.masked_array(FLOATS, FLOATS > 1)
BLANK = pd.DataFrame({"a": [1, None], "b": [1, 2], "c": [1, 2]}).astype("Int64")
REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "unknown loss": (lambda: once(X, Y, loss="mes"), ValueError, "are mse, mae"),
    "unknown optimizer": (lambda: once(X, Y, optimizer="rmsprop"), ValueError, "adam, adamw, sgd"),
    "loss of torch": (lambda: once(X, Y, loss=torch.nn.MSELoss()), TypeError, "MSELoss of torch"),
    "function of torch": (lambda: once(X, Y, loss=torch.nn.functional.mse_loss), TypeError, "torch"),
    "optimizer of torch": (lambda: once(X, Y, optimizer=torch.optim.Adam), TypeError, "Adam of torch"),
    "no loss": (lambda: once(X, Y, loss=None), TypeError, "a name, got NoneType"),
    "number": (lambda: once(X, Y, optimizer=0.1), TypeError, "a name such as 'adam'.*got float"),
    "masked inputs": (lambda: once(MASKED, Y), TypeError, "inputs of data .* MaskedArray: its mask"),
    "masked in a list": (lambda: once(list(MASKED), Y), TypeError, "MaskedArray"),
    "masked targets": (lambda: once(X, MASKED), TypeError, "targets of data .* MaskedArray"),
    "masked validation": (lambda: once(X, Y, validation=(MASKED, Y)), TypeError, "of validation"),
    "masked prediction": (lambda: linear().predict(MASKED), TypeError, "MaskedArray: its mask would be dropped"),
    "names": (lambda: once(X, ["a", "b", "c"] * 4), TypeError, "text such as 'a'.*np.unique"),
    "text in a table": (lambda: once(pd.DataFrame({"a": ["x"] * 12}), Y), TypeError, "text such as 'x'"),
    "missing numbers": (lambda: once(BLANK, Y[:2]), TypeError, "an object of NAType among them"),
    "complex": (lambda: once(X + 0j, Y), TypeError, "real numbers, got dtype complex128"),
    "dates": (lambda: once(X, np.zeros(12, "M8[D]")), TypeError, "real numbers, got dtype datetime64"),
    "ragged": (lambda: once([[[1.0]], [[1.0], [2.0]]], Y[:2]), ValueError, "pad the sequences"),
    "inputs alone": (lambda: once(X), TypeError, "a pair .*, got ndarray alone"),
    "no targets": (lambda: once((X, None)), TypeError, "targets of data .* got NoneType"),
    "dict": (lambda: once({"x": X, "y": Y}), TypeError, "a pair .*, got dict"),
    "other lengths": (lambda: once(X, Y[:5]), ValueError, r"equally many .*\(12, 3\).*\(5, 1\)"),
    "nothing": (lambda: once([], []), ValueError, "at least one"),
    "one axis less": (lambda: once(X, Y[:, 0]), ValueError, r"not broadcast. Write target\[\.\.\., None\]"),
    "one output": (lambda: once(X, CLASSES, loss="cross_entropy"), IndexError, "use bce_with_logits"),
    "no batch size": (lambda: once(X, Y, batch_size=None), TypeError, "batch_size should be of type int"),
    "half an epoch": (lambda: once(X, Y, epochs=0.5), TypeError, "epochs should be of type int, got: float"),
    "no epoch": (lambda: once(X, Y, epochs=0), ValueError, "epochs must be greater than zero, got 0"),
    "patience": (lambda: once(X, Y, patience="5"), TypeError, "patience should be of type int, got: str"),
    "seed": (lambda: once(X, Y, seed="a"), TypeError, "seed should be of type int, got: str"),
    "axis": (lambda: once(X, Y, batch_axis="0"), TypeError, "batch_axis should be an int, or a pair"),
    "scheduler": (lambda: once(X, Y, scheduler="cosine"), TypeError, "CosineAnnealingLR.*got 'cosine'"),
    "clip": (lambda: once(X, Y, clip_norm="1"), TypeError, "should be a number"),
    "nan": (lambda: once(X / 0.0, Y), RuntimeError, "36 numbers in the inputs"),
    "nan targets": (lambda: once(X, Y * np.nan), RuntimeError, "12 numbers in the targets"),
    "class": (lambda: fit(nn.Linear, X, Y, epochs=1), TypeError, "got the class Linear; make one of it"),
    "torch model": (lambda: fit(torch.nn.Linear(3, 1), X, Y, epochs=1), TypeError, "a pyrnn Module"),
    "quantized": (lambda: fit(GRU(3, 4).quantize("int8"), X, Y, epochs=1), TypeError, "is quantized, for inference"),
    "predict by axis": (lambda: linear().predict(X, batch_axis="a"), TypeError, "batch_axis should be an int"),
    "predict text": (lambda: linear().predict("a"), TypeError, "should be numbers, got text"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value)")
@pytest.mark.parametrize("name", REFUSED)
def test_a_call_that_cannot_be_meant_is_refused_with_what_to_write(name: str) -> None:
    call, error, words = REFUSED[name]
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("name", OTHERS)
def test_an_argument_of_another_package_is_refused_with_what_to_write(name: str) -> None:
    with pytest.raises(TypeError, match=f"^fit has no argument {name!r}: "):
        fit(linear(), (X, Y), epochs=1, **{name: 1})


@pytest.mark.parametrize("name", ["compile", "fit", "evaluate", "forward"])
def test_a_method_of_another_package_is_refused_with_what_to_write(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"a Sequential has no {name!r}: .*(pyrnn\.train|model\(x\))"):
        getattr(linear(), name)
    assert not hasattr(linear(), name)
