"""Calls have keywords that torch lacks; this module checks them and converts them for the kernels."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pyrnn.checks.arguments import check_bools, check_masked_output, check_size
from pyrnn.core.facts import IS_PAIR

from .call import Call
from .private import is_batch


class Keywords(NamedTuple):
    """The keywords of `RecurrentDropIn.forward`, which explains them."""

    lengths: Any = None
    mask: Tensor | None = None
    masked_output: str = "zero"
    reset: Tensor | None = None
    reset_state: Any = None
    return_states: bool = False
    checkpoint: int | None = None

    def given(self) -> dict[str, Any]:
        """Returns the keywords that differ from their defaults."""
        return {name: value for name, value in self._asdict().items() if value is not getattr(NONE, name)}


NONE = Keywords()


def with_keywords(call: Call, keywords: Keywords, x: Tensor, swapped: bool) -> tuple[Call, Any]:
    """Returns the call with its keywords, time first, and the reset state; raises ValueError if they do not fit.

    Args:
        call: the call without keywords.
        keywords: the keywords that the caller gave.
        x: the input, time first.
        swapped: whether the caller's layout is batch first.
    """
    network, extent = call.network, tuple(x.shape[:-1])
    if not extent:
        return call, ()  # the call itself says what is wrong
    check_bools(return_states=keywords.return_states)
    hold = check_masked_output(keywords.masked_output)
    if keywords.reset_state is not None and keywords.reset is None:
        raise ValueError("reset_state is given without reset: say at which steps with reset=")
    if keywords.reset is not None and network.bidirectional:
        raise ValueError("reset is not possible in a bidirectional layer: its reverse direction comes from the future")
    if keywords.return_states and not IS_PAIR[network.mode]:
        raise ValueError("return_states is for the LSTM's cell states; the states of an RNN or a GRU are its output")
    if keywords.checkpoint is not None:
        check_size("checkpoint", keywords.checkpoint, math.inf)
    active = laid_out("mask", keywords.mask, x, swapped)
    reset = laid_out("reset", keywords.reset, x, swapped)
    if keywords.lengths is not None:
        inside = within(keywords.lengths, extent).to(x.device)
        # A reset past the end of a sequence has no effect either.
        active, reset = inside if active is None else active & inside, None if reset is None else reset & inside
    call = call._replace(
        active=active,
        hold=hold,
        reset=reset,
        all_states=keywords.return_states,
        every=min(keywords.checkpoint or 0, 2**31 - 1),
    )
    return call, reset_parts(keywords.reset_state, IS_PAIR[network.mode], x.device)


def reset_parts(state: Any, is_pair: bool, device: torch.device) -> tuple[Tensor, ...]:
    """Returns the reset state as none, one or two tensors; raises TypeError or ValueError for anything else."""
    if state is None:
        return ()
    parts = tuple(state) if isinstance(state, (tuple, list)) else (state,)
    for part in parts:
        if not isinstance(part, Tensor):
            raise TypeError(f"reset_state should be made of tensors, got {type(part).__name__}")
    if len(parts) != 1 + is_pair:
        raise ValueError(f"reset_state should be {'a pair (h, c)' if is_pair else 'one tensor'}, got {len(parts)}")
    for part in parts:
        if part.device != device:
            raise RuntimeError(f"reset_state is on {part.device}, the input on {device}: they should be on one device")
    return parts


def laid_out(name: str, flags: Tensor | None, x: Tensor, swapped: bool) -> Tensor | None:
    """Returns the flags of the steps, time first; raises ValueError if they do not fit the input."""
    if flags is None:
        return None
    extent = tuple(x.shape[:-1])
    expected = extent[::-1] if swapped else extent
    if not isinstance(flags, Tensor) or flags.dtype is not torch.bool or tuple(flags.shape) != expected:
        found = f"{flags.dtype} of shape {tuple(flags.shape)}" if isinstance(flags, Tensor) else type(flags).__name__
        raise ValueError(f"{name} should be a tensor of bool of shape {expected}, as the input, got {found}")
    if flags.device != x.device:
        raise RuntimeError(f"{name} is on {flags.device}, the input on {x.device}: they should be on one device")
    return flags.T if swapped else flags


def within(lengths: Any, extent: tuple[int, ...]) -> Tensor:
    """Returns a bool tensor of this extent, True before each sequence's end; raises ValueError for wrong lengths."""
    try:
        ends = torch.as_tensor(lengths)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"lengths should be integers, got {type(lengths).__name__}") from error
    ends = ends if ends.numel() else ends.long()
    steps, batch = extent[0], extent[1:]
    if ends.is_floating_point() or ends.is_complex() or ends.dtype is torch.bool:
        raise ValueError(f"lengths should be integers, got {ends.dtype}")
    if ends.shape != batch and (batch or ends.shape != (1,)):
        expected = f"one length for each of the {batch[0]} sequences" if batch else "one length"
        raise ValueError(f"lengths should hold {expected}, got shape {tuple(ends.shape)}")
    # vmap forbids reading the numbers of its tensors.
    known = ends.numel() and not torch.compiler.is_compiling() and not is_batch(ends)
    if known and not 0 <= int(ends.min()) <= int(ends.max()) <= steps:
        raise ValueError(f"lengths should be from 0 to {steps}, the number of steps of the input, got {ends.tolist()}")
    return (torch.arange(steps, device=ends.device)[:, None] < ends).reshape(extent)
