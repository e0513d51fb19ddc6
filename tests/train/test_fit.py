"""`fit` trains as a loop in torch does, cuts batches along the right axis, and leaves the best epoch's weights."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from linear import Array, Linear, assert_weights, in_batches, problem, settled, weights_after

from pyrnn.train import SGD, Adam, CosineAnnealingLR, ReduceLROnPlateau, cross_entropy, mse_loss


def test_fit_learns_a_linear_function() -> None:
    model = Linear()
    train = settled(epochs=100, optimizer=Adam(model, lr=0.05), validation=problem(seed=1))
    history = train(model, problem())
    # The targets have no noise, so the rest is the distance that Adam still has to go.
    np.testing.assert_allclose(model.weight, [[1.0], [-2.0], [0.5]], atol=1e-3)
    np.testing.assert_allclose(model.bias, [0.25], atol=1e-3)
    assert history.stopped == "epochs"
    assert len(history.train_loss) == len(history.validation_loss) == 100
    assert len(history.lr) == len(history.seconds) == 100
    assert history.best_loss == min(history.validation_loss)
    assert min(history.seconds) > 0


@pytest.mark.torch
@pytest.mark.parametrize("clip_norm", [None, 0.5])
def test_fit_gives_the_losses_and_weights_of_a_loop_in_torch(clip_norm: float | None) -> None:
    import torch

    x, y = problem(30)
    model = Linear()
    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in model.state_dict().items()}
    reference = torch.optim.SGD(tensors.values(), lr=0.02, momentum=0.9)
    losses = []
    for _ in range(4):
        total = 0.0
        for start in range(0, 30, 12):
            inputs, targets = torch.tensor(x[start : start + 12]), torch.tensor(y[start : start + 12])
            reference.zero_grad()
            loss = torch.nn.functional.mse_loss(inputs @ tensors["weight"] + tensors["bias"], targets)
            loss.backward()
            if clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(tensors.values(), clip_norm)
            reference.step()
            total += loss.item() * len(inputs)
        losses.append(total / 30)
    optimizer = SGD(model, lr=0.02, momentum=0.9)
    history = settled(epochs=4, shuffle=False, optimizer=optimizer, clip_norm=clip_norm)(model, (x, y))
    # The tolerance is that of twelve steps in float64, with sums in another order.
    np.testing.assert_allclose(history.train_loss, losses, rtol=1e-12)
    assert history.best_epoch == 4
    for name, value in model.parameters().items():
        np.testing.assert_allclose(value, tensors[name].detach().numpy(), rtol=1e-12, atol=1e-14)


def test_a_seed_gives_one_order_and_no_shuffle_keeps_the_given_one() -> None:
    once, again, other = (weights_after(2, seed=seed)["weight"] for seed in (1, 1, 2))
    kept, ready_made = weights_after(2, shuffle=False), weights_after(2, in_batches(*problem()))
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(kept["weight"], ready_made["weight"])
    assert not np.array_equal(once, other)
    assert not np.array_equal(once, kept["weight"])


@pytest.mark.torch
def test_torch_tensors_are_taken_as_data() -> None:
    import torch

    x, y = problem()
    trained = weights_after(2, (torch.tensor(x), torch.tensor(y)))
    np.testing.assert_array_equal(trained["weight"], weights_after(2)["weight"])


@pytest.mark.parametrize(
    ("axis", "shape", "target_shape"),
    [
        (0, (48, 5, 3), (48, 5)),
        (1, (5, 48, 3), (5, 48)),
        (-2, (5, 48, 3), (48, 5)),
        ((1, 0), (5, 48, 3), (48,)),
    ],
    ids=str,
)
def test_sequences_are_cut_along_the_batch_axis(axis: Any, shape: Any, target_shape: Any) -> None:
    """Every batch that reaches the loss holds the targets that belong to its inputs."""
    numbers = np.arange(48)
    place = axis if isinstance(axis, tuple) else (axis, axis)

    def spread(full: tuple[int, ...], where: int) -> Array:
        along = [1] * len(full)
        along[where] = 48
        return np.broadcast_to(numbers.reshape(along), full).astype(float)

    seen: list[Array] = []

    def loss(output: Array, target: Array) -> tuple[float, Array]:
        inputs, targets = np.moveaxis(output, place[0], 0), np.moveaxis(target, place[1], 0)
        np.testing.assert_array_equal(inputs.reshape(12, -1)[:, 0], targets.reshape(12, -1)[:, 0])
        seen.append(targets.reshape(12, -1)[:, 0])
        return 0.0, np.zeros_like(output)

    model = Linear()
    model.weight, model.bias = np.array([[1.0], [0.0], [0.0]]), np.zeros(1)
    data = spread(shape, place[0]), spread(target_shape, place[1])
    settled(epochs=1, loss=loss, batch_axis=axis)(model, data)
    np.testing.assert_array_equal(np.sort(np.concatenate(seen)), numbers)
    assert not np.array_equal(np.concatenate(seen), numbers)


def test_classes_are_learnt_from_time_major_sequences() -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((7, 40, 3))
    y = x.argmax(axis=-1)
    model = Linear(outputs=3)
    loss, optimizer = partial(cross_entropy, dim=-1), Adam(model, lr=0.1)
    settled(epochs=60, loss=loss, batch_axis=1, optimizer=optimizer)(model, (x, y))
    assert (model(x).argmax(axis=-1) == y).mean() > 0.98


def test_validation_runs_in_evaluation_mode_and_flags_come_back() -> None:
    model = Linear()
    model.inner = Linear()
    model.inner.eval()
    settled(epochs=2)(model, problem(), validation=problem(24, seed=1))
    assert model.calls == [True] * 4 + [False] * 2 + [True] * 4 + [False] * 2
    assert model.training
    assert not model.inner.training
    model.eval()
    settled(epochs=1)(model, problem())
    assert not model.training


def test_losses_are_means_over_sequences_and_not_over_batches() -> None:
    """Thirteen sequences make batches of twelve and of one, which count by their sizes."""
    model, (x, y) = Linear(), problem(13)
    expected, _ = mse_loss(model(x), y)
    still = SGD(model, lr=0.0)
    history = settled(epochs=1, optimizer=still)(model, (x, y), validation=(x, y))
    assert history.train_loss + history.validation_loss == pytest.approx([expected] * 2, rel=1e-12)


def test_the_scheduler_steps_once_an_epoch() -> None:
    model = Linear()
    optimizer = SGD(model, lr=0.1)
    history = settled(optimizer=optimizer, scheduler=CosineAnnealingLR(optimizer, T_max=4))(model, problem())
    half_cosine = 0.05 * (1 + np.cos(np.pi * np.arange(5) / 4))
    np.testing.assert_allclose(history.lr, half_cosine, rtol=1e-12, atol=1e-17)


def test_a_plateau_is_told_the_validation_loss() -> None:
    model = Linear()
    optimizer = SGD(model, lr=0.1)
    scheduler = ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
    x, y = problem()
    history = settled(optimizer=optimizer, scheduler=scheduler, epochs=4)(model, (x, y), validation=(x, -y))
    assert history.train_loss == sorted(history.train_loss, reverse=True)
    assert history.lr == [0.1, 0.1, 0.05, 0.025]


def test_early_stopping_restores_the_best_weights() -> None:
    """The validation targets are half of the training targets, so the validation loss falls, then rises."""
    x, y = problem()
    data, validation = (x, y), (x, 0.5 * y)
    model = Linear()
    train = settled(epochs=50, optimizer=SGD(model, lr=0.05), patience=3)
    history = train(model, data, validation=validation)
    assert history.stopped == "patience"
    assert history.best_epoch == 1 + int(np.argmin(history.validation_loss)) < len(history.lr)
    assert len(history.lr) == history.best_epoch + 3
    assert mse_loss(model(x), 0.5 * y)[0] == pytest.approx(history.best_loss, rel=1e-12)
    assert_weights(model, weights_after(history.best_epoch))


def test_the_best_weights_stay_when_all_epochs_are_done() -> None:
    x, y = problem()
    model = Linear()
    train = settled(epochs=6, optimizer=SGD(model, lr=0.05))
    history = train(model, (x, y), validation=(x, 0.5 * y))
    assert history.stopped == "epochs"
    assert history.best_epoch < 6
    assert_weights(model, weights_after(history.best_epoch))
