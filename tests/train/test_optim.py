"""Optimizers agree with torch's step by step, and so does clipping."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

from pyrnn.core.module import Module
from pyrnn.train import SGD, Adam, AdamW, clip_grad_norm, clip_grad_value

STEPS = 50
SHAPES = {"weight": (5, 3), "inner.bias": (4,), "scale": ()}

# Both sides round every operation, except that torch rounds some pairs once; 50 steps of order 0.1 add this up. In
# float64 it is 2^29 times smaller.
TOLERANCE = {np.float32: 1e-6, np.float64: 1e-14}

CASES = [
    (SGD, {"lr": 0.1}),
    (SGD, {"lr": 0.1, "weight_decay": 0.1}),
    (SGD, {"lr": 0.05, "momentum": 0.9}),
    (SGD, {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    (SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    (Adam, {}),
    (Adam, {"lr": 0.01, "betas": (0.4, 0.9), "eps": 1e-4}),
    (Adam, {"lr": 0.01, "weight_decay": 0.1}),
    (Adam, {"lr": 0.01, "amsgrad": True}),
    (AdamW, {}),
    (AdamW, {"lr": 0.01, "weight_decay": 0.3, "amsgrad": True}),
]
CASE_IDS = ["-".join([kind.__name__, *options]) for kind, options in CASES]


class Bag(Module):
    """Parameters of the shapes above, one of them in a submodule."""

    def __init__(self, dtype: Any, seed: int = 0) -> None:
        super().__init__()
        random = np.random.default_rng(seed)
        self.inner = Module()
        for name, shape in SHAPES.items():
            owner: Module = self.inner if name.startswith("inner.") else self
            owner._add_parameter(name.removeprefix("inner."), random.standard_normal(shape).astype(dtype))


def gradients(dtype: Any, step: int) -> dict[str, Any]:
    """Gradients of very different sizes, with a zero among them."""
    random, items = np.random.default_rng(1000 + step), SHAPES.items()
    found = {name: random.standard_normal(shape) * 10.0 ** random.integers(-4, 1) for name, shape in items}
    found["inner.bias"][0] = 0.0
    return {name: np.asarray(value, dtype) for name, value in found.items()}


def torch_step(optimizer: Any, tensors: dict[str, torch.Tensor], given: dict[str, Any]) -> None:
    for name, tensor in tensors.items():
        tensor.grad = torch.tensor(given[name]) if name in given else None
    optimizer.step()


def assert_equal_to_torch(model: Module, tensors: dict[str, torch.Tensor], tolerance: float) -> None:
    for name, value in model.parameters().items():
        np.testing.assert_allclose(value, tensors[name].numpy(), rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("kind", "options"), CASES, ids=CASE_IDS)
def test_fifty_steps_are_those_of_torch(kind: Any, options: dict[str, Any], dtype: Any) -> None:
    """The learning rate changes on the way, and at some steps one parameter has no gradient."""
    model = Bag(dtype)
    tensors = {name: torch.tensor(value) for name, value in model.state_dict().items()}
    ours, theirs = kind(model, **options), getattr(torch.optim, kind.__name__)(tensors.values(), **options)
    for step in range(STEPS):
        given = gradients(dtype, step)
        if step % 7 == 3 or step == 0:
            del given["weight"]
        if step == 20:
            ours.lr = theirs.param_groups[0]["lr"] = 0.02
        ours.step(given)
        torch_step(theirs, tensors, given)
    assert_equal_to_torch(model, tensors, TOLERANCE[dtype])
    assert all(value.dtype == dtype for value in model.parameters().values())


def test_a_parameter_without_gradient_keeps_value_and_state() -> None:
    model = Bag(np.float64)
    optimizer = Adam(model, lr=0.1, weight_decay=0.1)
    before = model.state_dict()
    optimizer.step({"weight": gradients(np.float64, 0)["weight"]})
    assert not np.array_equal(model.weight, before["weight"])
    np.testing.assert_array_equal(model.scale, before["scale"])
    assert {key.rpartition(".")[0] for key in optimizer.state_dict()} == {"", "weight"}


def test_the_gradients_are_neither_changed_nor_kept() -> None:
    model = Bag(np.float64)
    optimizer = SGD(model, lr=0.1, momentum=0.9)
    given = gradients(np.float64, 0)
    copies = {name: value.copy() for name, value in given.items()}
    optimizer.step(given)
    for name, value in given.items():
        np.testing.assert_array_equal(value, copies[name])
    given["weight"][:] = np.nan
    optimizer.step(gradients(np.float64, 1))
    assert np.isfinite(model.weight).all()


@pytest.mark.parametrize(("kind", "options"), CASES, ids=CASE_IDS)
def test_resuming_from_a_file_gives_the_same_weights(kind: Any, options: dict[str, Any], tmp_path: Any) -> None:
    straight, first = Bag(np.float32), Bag(np.float32)
    through, before = kind(straight, **options), kind(first, **options)
    before.lr = through.lr = 0.03
    for step in range(10):
        through.step(gradients(np.float32, step))
        if step < 5:
            before.step(gradients(np.float32, step))
    np.savez(tmp_path / "optimizer.npz", **before.state_dict())
    second = Bag(np.float32, seed=1)
    second.load_state_dict(first.state_dict())
    after = kind(second, **options)
    with np.load(tmp_path / "optimizer.npz") as saved:
        after.load_state_dict(saved)
    for step in range(5, 10):
        after.step(gradients(np.float32, step))
    assert after.lr == 0.03
    for name, value in straight.parameters().items():
        np.testing.assert_array_equal(second.parameters()[name], value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unknown": np.zeros(3)}, "'unknown', which is no parameter"),
        ({"weight": np.zeros((3, 5))}, r"\(5, 3\), got \(3, 5\)"),
        ({"scale": np.zeros(1)}, r"\(\), got \(1,\)"),
    ],
)
def test_a_wrong_gradient_changes_nothing(changes: dict[str, Any], words: str) -> None:
    model = Bag(np.float64)
    optimizer = Adam(model)
    before, state = model.state_dict(), optimizer.state_dict()
    with pytest.raises(ValueError, match=words):
        optimizer.step(gradients(np.float64, 0) | changes)
    assert optimizer.state_dict() == state
    for name, value in model.parameters().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, 'key "lr"'),
        ({"lr": 0.1, "nothing.step": 1}, "'nothing', which is no parameter"),
        ({"lr": 0.1, "scale.step": 1}, "keeps step, exp_avg, exp_avg_sq"),
        ({"lr": 0.1, "weight.exp_avg": np.zeros(3)}, r"should have the parameter's shape \(5, 3\)"),
        ({"lr": -0.1}, "lr should be a finite number of at least 0"),
    ],
)
def test_a_wrong_state_is_refused_whole(state: dict[str, Any], words: str) -> None:
    optimizer = Adam(Bag(np.float64), lr=0.5)
    with pytest.raises(ValueError, match=words):
        optimizer.load_state_dict(state)
    assert optimizer.state_dict() == {"lr": 0.5}


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (SGD, {"lr": -1.0}, "lr should be a finite"),
        (SGD, {"lr": float("nan")}, "lr should be a finite"),
        (SGD, {"lr": 0.1, "momentum": -0.9}, "momentum should be"),
        (SGD, {"lr": 0.1, "nesterov": True}, "Nesterov momentum requires"),
        (SGD, {"lr": 0.1, "nesterov": True, "momentum": 0.9, "dampening": 0.1}, "Nesterov momentum requires"),
        (Adam, {"betas": (0.9, 1.0)}, "betas should be"),
        (Adam, {"eps": -1e-8}, "eps should be"),
        (AdamW, {"weight_decay": -1.0}, "weight_decay should be"),
    ],
)
def test_settings_out_of_range_are_refused(kind: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        kind(Bag(np.float64), **options)


def test_an_optimizer_takes_the_model_and_not_its_parameters() -> None:
    with pytest.raises(TypeError, match="takes the model"):
        SGD(Bag(np.float64).parameters(), lr=0.1)  # type: ignore[arg-type]


def torch_parameters(given: dict[str, Any]) -> list[torch.nn.Parameter]:
    parameters = [torch.nn.Parameter(torch.tensor(value)) for value in given.values()]
    for parameter, value in zip(parameters, given.values(), strict=True):
        parameter.grad = torch.tensor(value)
    return parameters


@pytest.mark.parametrize("max_norm", [0.0, 1e-4, 1.0, 1e6, float("inf")])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clip_grad_norm_gives_torchs_norm_and_gradients(dtype: Any, max_norm: float) -> None:
    given = gradients(dtype, 0)
    parameters = torch_parameters(given)
    norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    clipped, ours = clip_grad_norm(given, max_norm)
    # torch sums the squares in the gradients' own dtype.
    tolerance = 4 * float(np.finfo(dtype).eps)
    assert ours == pytest.approx(norm.item(), rel=tolerance)
    for value, parameter in zip(clipped.values(), parameters, strict=True):
        np.testing.assert_allclose(value, parameter.grad.numpy(), rtol=tolerance, atol=0)
        assert value.dtype == dtype


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_norm_that_is_not_finite_is_treated_as_by_torch(bad: float) -> None:
    given = {"a": np.array([1.0, bad]), "b": np.array([2.0])}
    parameters = torch_parameters(given)
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    clipped, _ = clip_grad_norm(given, 1.0)
    for value, parameter in zip(clipped.values(), parameters, strict=True):
        np.testing.assert_array_equal(value, parameter.grad.numpy())
    with pytest.raises(RuntimeError, match="total norm of the gradients is"):
        clip_grad_norm(given, 1.0, error_if_nonfinite=True)


def test_clip_grad_value_gives_torchs_gradients() -> None:
    given = gradients(np.float32, 0)
    parameters = torch_parameters(given)
    torch.nn.utils.clip_grad_value_(parameters, 0.25)
    for value, parameter in zip(clip_grad_value(given, 0.25).values(), parameters, strict=True):
        np.testing.assert_array_equal(value, parameter.grad.numpy())


@pytest.mark.parametrize("clip", [clip_grad_norm, clip_grad_value])
@pytest.mark.parametrize("limit", [-1.0, float("nan")])
def test_a_negative_limit_is_refused(clip: Any, limit: float) -> None:
    with pytest.raises(ValueError, match="should be a number of at least 0"):
        clip({"weight": np.ones(2)}, limit)
