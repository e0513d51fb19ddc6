"""Recurrent PPO on a memory task: one call runs all steps of a rollout, in which episodes start anywhere."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

import pyrnn.torch

CUES, GAMMA, LAMBDA, CLIP = 4, 0.95, 0.9, 0.2


class Recall:
    """B games side by side: a cue is shown in the first step and asked for in the last, 2 to 8 steps later."""

    def __init__(self, batch: int) -> None:
        self.left = self.cues = torch.zeros(batch, dtype=torch.long)
        self.begin(torch.ones(batch, dtype=torch.bool))

    def begin(self, which: Tensor) -> None:
        """Starts some of the games anew, [B] bool, and lets the others go on."""
        self.starts = which
        self.left = torch.where(which, torch.randint(2, 9, which.shape), self.left - 1)
        self.cues = torch.where(which, torch.randint(CUES, which.shape), self.cues)

    def observe(self) -> Tensor:
        """The observations [B,CUES+1]: the cue, in the first step only, and whether the game asks for it now."""
        shown = nn.functional.one_hot(self.cues, CUES) * self.starts[:, None]
        return torch.cat([shown, (self.left == 0)[:, None]], 1).float()

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Rewards and ends of games, [B] each; a game that ended starts anew."""
        over = self.left == 0
        rewards = (over & (actions == self.cues)).float()
        self.begin(over)
        return rewards, over


class Policy(nn.Module):
    """A recurrent layer whose output gives a score for every action and the value of the state."""

    def __init__(self, kind: type[nn.RNNBase] = pyrnn.torch.GRU, hidden_size: int = 32) -> None:
        super().__init__()
        self.rnn = kind(CUES + 1, hidden_size)
        self.actor, self.critic = nn.Linear(hidden_size, CUES), nn.Linear(hidden_size, 1)

    def forward(self, x: Tensor, state: Any, starts: Tensor) -> tuple[Categorical, Tensor, Any]:
        """Choices and values [T,B] for observations [T,B,CUES+1]; a game's state is zeroed where it starts, [T,B]."""
        output, state = self.rnn(x, state, reset=starts)
        return Categorical(logits=self.actor(output)), self.critic(output).squeeze(-1), state


class Rollout(NamedTuple):
    """T steps of B games, [T,B] each, and the state before the first of them."""

    observations: Tensor
    starts: Tensor
    actions: Tensor
    log_probs: Tensor
    advantages: Tensor
    returns: Tensor
    state: Any


@torch.no_grad()
def collect(policy: Policy, games: Recall, state: Any, steps: int) -> tuple[Rollout, Any, float]:
    """Plays a rollout, and returns it, the state after it, and the mean return of the games that ended in it."""
    first, seen = state, []
    for _ in range(steps):
        x, starts = games.observe(), games.starts
        choice, value, state = policy(x[None], state, starts[None])
        action = choice.sample()
        rewards, over = games.step(action[0])
        seen.append((x, starts, action[0], choice.log_prob(action)[0], value[0], rewards, over))
    x, starts, actions, log_probs, values, rewards, over = (torch.stack(parts) for parts in zip(*seen, strict=True))
    values = torch.cat([values, policy(games.observe()[None], state, games.starts[None])[1]])
    advantages = torch.zeros_like(values)
    for t in reversed(range(steps)):  # generalised advantage estimation (Schulman et al. 2016)
        advantages[t] = rewards[t] - values[t] + ~over[t] * GAMMA * (values[t + 1] + LAMBDA * advantages[t + 1])
    rollout = Rollout(x, starts, actions, log_probs, advantages[:-1], (advantages + values)[:-1], first)
    return rollout, state, (rewards.sum() / over.sum()).item()


def loss_of(policy: Policy, rollout: Rollout) -> Tensor:
    """PPO's clipped loss (Schulman et al. 2017), with the state carried through all steps of the rollout."""
    choice, values, _ = policy(rollout.observations, rollout.state, rollout.starts)
    ratio = (choice.log_prob(rollout.actions) - rollout.log_probs).exp()
    scaled = (rollout.advantages - rollout.advantages.mean()) / (rollout.advantages.std() + 1e-8)
    gain = torch.minimum(ratio * scaled, ratio.clamp(1 - CLIP, 1 + CLIP) * scaled).mean()
    return 0.5 * (values - rollout.returns).square().mean() - gain - 0.01 * choice.entropy().mean()


def train(policy: Policy, updates: int, steps: int = 32, batch: int = 32, epochs: int = 4) -> list[float]:
    """Trains, and returns the mean return of the games of every rollout."""
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    games, state, mean_returns = Recall(batch), None, []
    for _ in range(updates):
        rollout, state, mean_return = collect(policy, games, state, steps)
        for _ in range(epochs):
            optimizer.zero_grad()
            loss_of(policy, rollout).backward()
            nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
            optimizer.step()
        mean_returns.append(mean_return)
    return mean_returns


def main(updates: int = 40, seed: int = 0) -> None:
    torch.manual_seed(seed)
    returns = train(Policy(), updates)
    print("mean return of every fifth rollout:", *(f"{mean:.2f}" for mean in returns[::5]))
    print(f"of the last: {returns[-1]:.2f}; of a guess without memory: {1 / CUES:.2f}")


if __name__ == "__main__":
    main()
