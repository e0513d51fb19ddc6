"""Computes the loop over time of a Keras layer by the kernels.

Keras' RNN layers prepare state, mask and dropout in `call`, and compute the steps in `inner_loop`. This module
replaces the latter.

Letters in shapes: B batch, T time, I inputs, H units.
"""

from __future__ import annotations

from typing import Any

import keras
import torch
from torch import Tensor

from pyrnn import _core
from pyrnn.torch.autograd import run
from pyrnn.torch.call import Call, Inputs
from pyrnn.torch.coverage import bad_state, bad_weights, not_plain
from pyrnn.torch.kernels import pack, spec_of
from pyrnn.torch.private import special_mode

from .cells import network_of, weights_of

Result = tuple[Tensor, Tensor, list[Tensor]]  # the last output [B,H], all [B,T,H], and the states


class Loop:
    """Stands in for the `inner_loop` of one layer."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.packed: _core.Weights | None = None

    def __call__(self, sequences: Tensor, initial_state: Any, mask: Any = None, training: Any = False) -> Result:
        """Computes all steps.

        Args:
            sequences: [B,T,I].
            initial_state: one state [B,H] or a list of them.
            mask: bool [B,T] or a list with it; a step marked False leaves the state alone.
            training: whether dropout applies.

        Returns:
            The last output [B,H], all outputs [B,T,H], with go_backwards in the order of the scan, and the states.
        """
        if self.refusal(sequences, initial_state, mask, training) is not None:
            return type(self.layer).inner_loop(  # type: ignore[no-any-return]
                self.layer, sequences, initial_state, mask, training=training
            )
        layer, cell = self.layer, self.layer.cell
        states, mask = _parts(initial_state), _mask(mask)
        if training and cell.dropout:
            sequences = sequences * cell.get_dropout_mask(sequences[:, 0]).unsqueeze(1)
        x = sequences.transpose(0, 1)
        active = None if mask is None else mask.T
        if layer.go_backwards:
            x, active = x.flip(0), None if active is None else active.flip(0)
        if layer.stateful:  # Keras writes the new state into the memory of the old one, which backward still needs.
            states = [state.clone() for state in states]
        weights = weights_of(cell)
        hold = not layer.zero_output_for_mask
        call = Call(network_of(cell), self.kernels(weights), active=active, hold=hold)
        initial = tuple(state.unsqueeze(0) for state in states)
        output, *final = run(call, Inputs(x, initial, (), weights))
        final = [state.squeeze(0) for state in final]
        last = final[0]  # Its gradient is [B,H]; that of a slice of the output would be [T,B,H].
        if active is not None:
            # Before its first active step Keras shows zero, and the kernels the initial state.
            shown = active.cummax(0).values.unsqueeze(-1) if hold else active.unsqueeze(-1)
            output, last = torch.where(shown, output, 0), torch.where(shown[-1], last, 0)
        return last, output.transpose(0, 1), final

    def kernels(self, weights: list[Tensor]) -> _core.Weights:
        """Returns the packed weights of the last call, or new ones if any number has changed since."""
        if self.packed is None or not self.packed.holds(weights):
            cell = self.layer.cell
            self.packed = pack(spec_of(network_of(cell), cell.kernel.shape[0], cell.units, 0), weights)
        return self.packed

    def refusal(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = False
    ) -> str | None:
        """Says why the kernels cannot run a call; None if they can."""
        cell = self.layer.cell
        if mode := special_mode():
            return mode
        if training and cell.recurrent_dropout:
            return "recurrent_dropout drops inside the steps, in training"
        if training and cell.dropout and getattr(cell, "dropout_mask_count", None) is not None:
            return "implementation=1 draws one dropout mask for each gate"
        weights = [keras.ops.convert_to_tensor(variable) for variable in cell.weights]
        if reason := bad_weights(weights):
            return reason
        dtype = weights[0].dtype
        if reason := not_plain(sequences, "the input", dtype):
            return reason
        if sequences.dim() != 3 or not sequences.shape[1] or sequences.shape[2] != cell.kernel.shape[0]:
            return f"the input is of shape {tuple(sequences.shape)}"
        states, shape = _parts(initial_state), (len(sequences), cell.units)
        if any(bad_state(state, (shape,), False, dtype) for state in states):
            return f"the initial states are not plain tensors of shape {shape}"
        found = _mask(mask)
        if found is not None and tuple(found.shape) != tuple(sequences.shape[:2]):
            return f"the mask is of shape {tuple(found.shape)}"
        return None


def _parts(states: Any) -> list[Tensor]:
    return list(states) if isinstance(states, (list, tuple)) else [] if states is None else [states]


def _mask(mask: Any) -> Tensor | None:
    """Returns the mask of a call as bool [B,T], or None."""
    mask = mask[0] if isinstance(mask, (list, tuple)) else mask
    if mask is None:
        return None
    mask = mask.squeeze(-1) if mask.dim() == 3 else mask
    return mask.bool()  # type: ignore[no-any-return]
