"""An accelerated RecurrentPPO of sb3-contrib trains as it does without, and restore gives it back."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("sb3_contrib")

import gymnasium
import numpy as np
import torch
from cases import GRADIENT, OUTPUT
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy

import pyrnn.torch
import pyrnn.torch.rl
from benchmarks.recurrent_ppo import make

LOSSES = ("train/loss", "train/value_loss", "train/policy_gradient_loss", "train/entropy_loss")
SMALL = {"n_steps": 64, "batch_size": 64, "n_epochs": 2}


def losses_of(model: RecurrentPPO, updates: int) -> list[list[float]]:
    """The losses of each update, the first at the initial weights."""
    found: list[list[float]] = []
    train = model.train

    def noted() -> None:
        train()
        found.append([model.logger.name_to_value[name] for name in LOSSES])

    model.train = noted  # type: ignore[method-assign]
    model.learn(updates * model.n_steps * model.n_envs)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("critic", [{}, {"shared_lstm": True, "enable_critic_lstm": False}, {"n_lstm_layers": 2}])
def test_losses_of_three_updates_are_those_of_sb3(critic: dict[str, Any]) -> None:
    curves = []
    for accelerated in (False, True):
        model = make(0, accelerated, policy_kwargs={"lstm_hidden_size": 32, **critic}, **SMALL)
        curves.append(losses_of(model, 3))
    assert np.shape(curves) == (2, 3, len(LOSSES))
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-4, atol=1e-4)


def policy() -> RecurrentActorCriticPolicy:
    torch.manual_seed(0)
    space = gymnasium.spaces.Box(-1, 1, (3,))
    return RecurrentActorCriticPolicy(space, gymnasium.spaces.Discrete(2), lambda _: 1e-3, lstm_hidden_size=8)


def test_episodes_that_begin_anywhere_are_computed_as_by_the_loop_of_sb3() -> None:
    theirs = policy()
    ours = copy.deepcopy(theirs)
    report = pyrnn.torch.rl.accelerate(ours)
    assert report.swapped == {"lstm_actor": "LSTM", "lstm_critic": "LSTM", "_process_sequence": "one call with reset="}
    torch.manual_seed(1)
    x, starts = torch.randn(4 * 10, 3), (torch.rand(4 * 10) < 0.3).float()
    found = []
    for one in (theirs, ours):
        states = tuple(torch.linspace(-1, 1, 4 * 8).reshape(1, 4, 8).requires_grad_() for _ in range(2))
        output, last = one._process_sequence(x, states, starts, one.lstm_actor)
        loss = output.square().sum() + last[0].sum() + last[1].square().sum()
        found.append([output, *last, *torch.autograd.grad(loss, [*one.lstm_actor.parameters(), *states])])
    for mine, other in zip(found[1][:3], found[0][:3], strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=OUTPUT[np.float32])
    for mine, other in zip(found[1][3:], found[0][3:], strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=GRADIENT[np.float32] * other.abs().max().item())


def test_calls_that_the_kernels_do_not_cover_are_those_of_sb3() -> None:
    one = policy()
    pyrnn.torch.rl.accelerate(one)
    x, starts = torch.randn(2 * 5, 3), torch.zeros(2 * 5)
    starts[3] = 1
    one.half()
    output, _ = one._process_sequence(x.half(), (torch.zeros(1, 2, 8).half(),) * 2, starts.half(), one.lstm_actor)
    assert output.dtype is torch.float16
    assert output.shape == (10, 8)


def test_restore_gives_back_the_policy_and_its_files_stay(tmp_path: Path) -> None:
    model = make(0, False, **SMALL)
    fields = set(vars(model.policy))
    report = pyrnn.torch.rl.accelerate(model)
    assert "_process_sequence" not in pyrnn.torch.rl.accelerate(model).swapped
    observation = model.env.reset()
    before, _ = model.predict(observation, deterministic=True)
    model.save(tmp_path / "model")
    loaded = RecurrentPPO.load(tmp_path / "model")
    assert type(loaded.policy.lstm_actor) is torch.nn.LSTM
    assert (loaded.predict(observation, deterministic=True)[0] == before).all()
    assert pyrnn.torch.rl.restore(model) == list(report.swapped)
    assert type(model.policy.lstm_actor) is torch.nn.LSTM
    assert set(vars(model.policy)) == fields


class OwnLoop(RecurrentActorCriticPolicy):
    @staticmethod
    def _process_sequence(*args: Any) -> Any:
        return RecurrentActorCriticPolicy._process_sequence(*args)


def test_policy_with_its_own_loop_keeps_it() -> None:
    one = policy()
    one.__class__ = OwnLoop
    report = pyrnn.torch.rl.accelerate(one)
    assert report.left == {"_process_sequence": "OwnLoop has its own, which may compute anything"}
    assert one._process_sequence is OwnLoop._process_sequence


def test_what_has_no_recurrent_policy_raises_a_sentence() -> None:
    with pytest.raises(TypeError, match="expected a RecurrentPPO of sb3-contrib or its policy, got GRU; for others"):
        pyrnn.torch.rl.accelerate(torch.nn.GRU(2, 3))
    with pytest.raises(TypeError, match="or its policy, got the class RecurrentPPO; for others"):
        pyrnn.torch.rl.accelerate(RecurrentPPO)
