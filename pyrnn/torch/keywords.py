"""The keywords of a call that torch does not have, as the kernels take them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..options import check_masked_output, check_size
from .call import Call


class Keywords(NamedTuple):
    """`Layer.forward` says what each means."""

    lengths: Any = None
    mask: Tensor | None = None
    masked_output: str = "zero"
    reset: Tensor | None = None
    reset_state: Any = None
    return_states: bool = False
    checkpoint: int | None = None

    def given(self) -> dict[str, Any]:
        """Those that are not left out."""
        return {name: value for name, value in self._asdict().items() if value is not getattr(NONE, name)}


NONE = Keywords()


def with_keywords(call: Call, keywords: Keywords, extent: tuple[int, ...], swapped: bool) -> tuple[Call, Any]:
    """The call with its keywords, time first, and the reset state; ValueError if they do not fit.

    Args:
        call: without them.
        keywords: as they were given.
        extent: of the input: (T, B), or (T,) without a batch.
        swapped: whether the caller's layout is batch first.
    """
    network = call.network
    hold = check_masked_output(keywords.masked_output)
    if keywords.reset_state is not None and keywords.reset is None:
        raise ValueError("reset_state is given without reset: say at which steps with reset=")
    if keywords.reset is not None and network.bidirectional:
        raise ValueError("reset is not possible in a bidirectional layer: its reverse direction comes from the future")
    if keywords.return_states and network.mode != "lstm":
        raise ValueError("return_states is for the LSTM's cell states; the states of an RNN or a GRU are its output")
    if keywords.checkpoint is not None:
        check_size("checkpoint", keywords.checkpoint)
    active = laid_out("mask", keywords.mask, extent, swapped)
    reset = laid_out("reset", keywords.reset, extent, swapped)
    if keywords.lengths is not None:
        inside = within(keywords.lengths, extent)
        # Nothing past its end touches a sequence, not even a reset.
        active, reset = inside if active is None else active & inside, None if reset is None else reset & inside
    call = call._replace(
        active=active,
        hold=hold,
        reset=reset,
        all_states=bool(keywords.return_states),
        every=keywords.checkpoint or 0,
    )
    state = () if keywords.reset_state is None else keywords.reset_state
    return call, tuple(state) if isinstance(state, (tuple, list)) else (state,)


def laid_out(name: str, flags: Tensor | None, extent: tuple[int, ...], swapped: bool) -> Tensor | None:
    """Flags of the steps, time first; ValueError if they do not fit the input."""
    if flags is None:
        return None
    expected = extent[::-1] if swapped else extent
    if not isinstance(flags, Tensor) or flags.dtype is not torch.bool or tuple(flags.shape) != expected:
        found = f"{flags.dtype} of shape {tuple(flags.shape)}" if isinstance(flags, Tensor) else type(flags).__name__
        raise ValueError(f"{name} should be a tensor of bool of shape {expected}, as the input, got {found}")
    return flags.T if swapped else flags


def within(lengths: Any, extent: tuple[int, ...]) -> Tensor:
    """bool of this extent: True before each sequence's end; ValueError if the lengths do not fit."""
    ends = torch.as_tensor(lengths)
    steps, batch = extent[0], extent[1:]
    if ends.is_floating_point() or ends.is_complex() or ends.dtype is torch.bool:
        raise ValueError(f"lengths should be integers, got {ends.dtype}")
    if ends.shape != batch and (batch or ends.shape != (1,)):
        expected = f"one length for each of the {batch[0]} sequences" if batch else "one length"
        raise ValueError(f"lengths should hold {expected}, got shape {tuple(ends.shape)}")
    if not torch.compiler.is_compiling() and ends.numel() and not 0 <= int(ends.min()) <= int(ends.max()) <= steps:
        raise ValueError(f"lengths should be from 0 to {steps}, the number of steps of the input, got {ends.tolist()}")
    return (torch.arange(steps, device=ends.device)[:, None] < ends).reshape(extent)
