"""Agents in the shapes of CleanRL and RLlib, whose rollouts are one call of the kernels.

CleanRL's recurrent PPO calls its LSTM once a step, and multiplies the state by 1 - done before each. RLlib cuts
rollouts where episodes end, and pads the pieces to one length. The keywords `reset=` and `lengths=` stand for the two.

Letters in shapes: T time, B batch, L layers, I inputs, H hidden units, A actions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import pyrnn.torch

States = tuple[Tensor, Tensor]


class CleanRLAgent(nn.Module):
    """The recurrent part of CleanRL's Agent, for features in place of images."""

    def __init__(self, features: int, actions: int, hidden_size: int = 32) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(features, hidden_size), nn.ReLU())
        self.lstm = pyrnn.torch.LSTM(hidden_size, hidden_size)
        self.actor, self.critic = nn.Linear(hidden_size, actions), nn.Linear(hidden_size, 1)

    def get_states(self, x: Tensor, lstm_state: States, done: Tensor) -> tuple[Tensor, States]:
        """Returns the hidden states [T*B,H] of features [T*B,I] and the state after them; done is [T*B]."""
        batch = lstm_state[0].shape[1]
        hidden = self.network(x).reshape(-1, batch, self.lstm.input_size)
        # CleanRL has a loop over steps here.
        output, lstm_state = self.lstm(hidden, lstm_state, reset=done.reshape(-1, batch).bool())
        return output.flatten(0, 1), lstm_state

    def get_action_and_value(self, x: Tensor, lstm_state: States, done: Tensor) -> tuple[Tensor, Tensor, States]:
        """Returns the logits [T*B,A], the values [T*B], and the state."""
        hidden, lstm_state = self.get_states(x, lstm_state, done)
        return self.actor(hidden), self.critic(hidden).squeeze(-1), lstm_state


class RLlibModel(nn.Module):
    """A model as RLlib calls it, with padded sequences [B,T,I] and states whose first axis is the batch."""

    def __init__(self, features: int, actions: int, hidden_size: int = 32) -> None:
        super().__init__()
        self.lstm = pyrnn.torch.LSTM(features, hidden_size, batch_first=True)
        self.actor, self.critic = nn.Linear(hidden_size, actions), nn.Linear(hidden_size, 1)

    def get_initial_state(self) -> dict[str, Tensor]:
        """Returns the states [L,H] of one sequence; RLlib stacks them to [B,L,H]."""
        return {name: torch.zeros(self.lstm.num_layers, self.lstm.hidden_size) for name in ("h", "c")}

    def forward(
        self, obs: Tensor, state_in: dict[str, Tensor], seq_lens: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Returns the logits [B,T,A], the values [B,T], and the states [B,L,H] after seq_lens [B] steps."""
        states = tuple(state_in[name].transpose(0, 1) for name in ("h", "c"))
        output, states = self.lstm(obs, states, lengths=seq_lens)  # padding costs no time
        state_out = {name: state.transpose(0, 1) for name, state in zip("hc", states, strict=True)}
        return self.actor(output), self.critic(output).squeeze(-1), state_out
