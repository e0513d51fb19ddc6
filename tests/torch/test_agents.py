"""Agents in the shapes of CleanRL and RLlib compute what the loops of these libraries do, with the same gradients."""

from __future__ import annotations

import copy
from typing import Any

import pytest

pytest.importorskip("torch")

import agents
import numpy as np
import torch
from cases import GRADIENT, OUTPUT
from torch import Tensor, nn

import pyrnn.torch

STEPS, BATCH = 12, 5


class CleanRLLoop(agents.CleanRLAgent):
    """CleanRL's own get_states, of its recurrent PPO for Atari."""

    def get_states(self, x: Tensor, lstm_state: Any, done: Tensor) -> Any:
        hidden = self.network(x)
        batch_size = lstm_state[0].shape[1]
        hidden = hidden.reshape((-1, batch_size, self.lstm.input_size))
        done = done.reshape((-1, batch_size))
        new_hidden = []
        for h, d in zip(hidden, done, strict=True):
            h, lstm_state = self.lstm(
                h.unsqueeze(0),
                (
                    (1.0 - d).view(1, -1, 1) * lstm_state[0],
                    (1.0 - d).view(1, -1, 1) * lstm_state[1],
                ),
            )
            new_hidden += [h]
        return torch.flatten(torch.cat(new_hidden), 0, 1), lstm_state


class RLlibPadded(agents.RLlibModel):
    """RLlib's own call, which computes the padding too."""

    def forward(self, obs: Tensor, state_in: dict[str, Tensor], seq_lens: Tensor) -> Any:
        output, _ = self.lstm(obs, tuple(state_in[name].transpose(0, 1).contiguous() for name in "hc"))
        return self.actor(output), self.critic(output).squeeze(-1), {}


def on_torch(model: nn.Module, kind: type[nn.Module]) -> nn.Module:
    """A copy of a recipe with the library's loop and torch's layers."""
    other = copy.deepcopy(model)
    other.__class__ = kind
    assert pyrnn.torch.restore(other) == ["lstm"]
    return other


def assert_same_gradients(mine: nn.Module, other: nn.Module, losses: list[Tensor]) -> None:
    torch.testing.assert_close(losses[0], losses[1], rtol=0, atol=OUTPUT[np.float32])
    gradients = [
        torch.autograd.grad(loss, list(m.parameters())) for loss, m in zip(losses, (mine, other), strict=True)
    ]
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=GRADIENT[np.float32] * max(1, two.abs().max().item()))


def test_cleanrl_agent_is_that_of_its_loop() -> None:
    torch.manual_seed(0)
    mine = agents.CleanRLAgent(4, 3)
    other = on_torch(mine, CleanRLLoop)
    x, done = torch.randn(STEPS * BATCH, 4), (torch.rand(STEPS * BATCH) < 0.2).float()
    state = (torch.randn(1, BATCH, 32), torch.randn(1, BATCH, 32))
    results = [agent.get_action_and_value(x, state, done) for agent in (mine, other)]
    for one, two in zip(*([logits, values, *last] for logits, values, last in results), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=OUTPUT[np.float32])
    assert_same_gradients(mine, other, [logits.square().mean() + values.mean() for logits, values, _ in results])


def test_rllib_model_is_that_of_padded_calls_inside_the_sequences() -> None:
    torch.manual_seed(0)
    mine = agents.RLlibModel(4, 3)
    other = on_torch(mine, RLlibPadded)
    x, lengths = torch.randn(BATCH, STEPS, 4), torch.tensor([STEPS, 3, 7, 1, 9])
    inside = torch.arange(STEPS) < lengths[:, None]
    state = {name: torch.stack([part] * BATCH) + 0.5 for name, part in mine.get_initial_state().items()}
    losses, last = [], []
    for model in (mine, other):
        logits, values, state_out = model(x * inside[..., None], state, lengths)
        losses.append(logits[inside].square().mean() + values[inside].mean())
        last.append(state_out)
    assert_same_gradients(mine, other, losses)
    for row, length in enumerate(lengths):  # the states are those after each sequence's own end
        states = tuple(state[name][row : row + 1].transpose(0, 1) for name in "hc")
        _, expected = mine.lstm(x[row : row + 1, :length], states)
        for name, one in zip("hc", expected, strict=True):
            torch.testing.assert_close(last[0][name][row], one[:, 0], rtol=0, atol=OUTPUT[np.float32])
