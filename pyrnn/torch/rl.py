"""Recurrent policies of sb3-contrib process a rollout in one call of the kernels.

sb3-contrib calls its LSTM once a step if an episode begins inside a rollout. The kernels take `reset=` and compute all
steps in one call.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pyrnn.checks.quoting import brief

from .accelerate import accelerate as swap
from .accelerate import restore as swap_back
from .layers import LSTM
from .report import AccelerateReport

METHOD = "_process_sequence"
SOURCE = "sb3_contrib.common.recurrent.policies"  # the method as sb3-contrib 2.9.2 has it
States = tuple[Tensor, Tensor]


def accelerate(model: Any) -> AccelerateReport:
    """Makes a recurrent policy of sb3-contrib run on the kernels, a rollout in one call.

    It does what `pyrnn.torch.accelerate` does, and replaces the policy's loop over steps. Parameters, optimizer,
    and the files of `model.save` stay as they are.

    Args:
        model: a RecurrentPPO of sb3-contrib, another algorithm with such a `policy`, or the policy itself.

    Returns:
        The `AccelerateReport` of the policy. If the loop was replaced, `swapped` names it: "_process_sequence". If the
        policy has a `_process_sequence` of its own, that stays, and `left` says so.

    Raises:
        TypeError: if the model has no recurrent policy.

    Example:
        >>> import torch, pyrnn.torch.rl
        >>> pyrnn.torch.rl.accelerate(torch.nn.LSTM(3, 5))
        Traceback (most recent call last):
        ...
        TypeError: expected a RecurrentPPO of sb3-contrib or its policy, got LSTM; for others see pyrnn.torch

    Source: https://sb3-contrib.readthedocs.io/en/master/modules/ppo_recurrent.html
    """
    policy = policy_of(model)
    report = swap(policy)
    if getattr(getattr(type(policy), METHOD), "__module__", None) != SOURCE:
        report.left[METHOD] = f"{type(policy).__name__} has its own, which may compute anything"
    elif METHOD not in policy.__dict__:
        policy.__dict__[METHOD] = Sequences(getattr(type(policy), METHOD))
        report.swapped[METHOD] = "one call with reset="
    return report


def restore(model: Any) -> list[str]:
    """Undoes `accelerate`, in place.

    Args:
        model: a model or policy that `accelerate` has changed.

    Returns:
        The names of what is torch's and sb3-contrib's again.

    Raises:
        TypeError: if the model has no recurrent policy.

    Example:
        >>> import pyrnn.torch.rl
        >>> pyrnn.torch.rl.restore(None)
        Traceback (most recent call last):
        ...
        TypeError: expected a RecurrentPPO of sb3-contrib or its policy, got NoneType; for others see pyrnn.torch
    """
    policy = policy_of(model)
    names = swap_back(policy)
    if isinstance(policy.__dict__.get(METHOD), Sequences):
        del policy.__dict__[METHOD]
        names.append(METHOD)
    return names


def policy_of(model: Any) -> nn.Module:
    """Returns the recurrent policy of an algorithm, or the policy itself; raises TypeError if there is none."""
    policy = getattr(model, "policy", model)
    if not isinstance(policy, nn.Module) or not hasattr(type(policy), METHOD):
        of_class = isinstance(model, type)
        kind = "the class " * of_class + brief((model if of_class else type(policy)).__name__).strip("'\"")
        raise TypeError(
            f"expected a RecurrentPPO of sb3-contrib or its policy, got {kind}; for others see pyrnn.torch"
        )
    return policy


class Sequences:
    """Computes `_process_sequence` of sb3-contrib's policies, by the kernels where they cover the call."""

    def __init__(self, original: Any) -> None:
        self.original = original

    def __call__(
        self, features: Tensor, lstm_states: States, episode_starts: Tensor, lstm: nn.LSTM
    ) -> tuple[Tensor, States]:
        """Runs the LSTM over sequences in which episodes begin anywhere.

        Args:
            features: [B*T,I], one sequence after the other.
            lstm_states: (h, c) of shape [L,B,H] before the first step.
            episode_starts: [B*T]; the state becomes zero before a step where this is not 0.
            lstm: the policy's LSTM.

        Returns:
            The output [B*T,H], and (h, c) after the last step.
        """
        batch = lstm_states[0].shape[1]
        x = features.reshape(batch, -1, lstm.input_size).swapaxes(0, 1)
        # A rollout is collected step by step; such a call is sb3-contrib's, on the drop-in.
        covered = len(x) > 1 and isinstance(lstm, LSTM) and lstm.refusal(x, lstm_states) is None
        if not covered:
            return self.original(features, lstm_states, episode_starts, lstm)  # type: ignore[no-any-return]
        starts = episode_starts.reshape(batch, -1).T != 0
        output, states = lstm(x, lstm_states, reset=starts)
        return torch.flatten(output.transpose(0, 1), 0, 1), states
