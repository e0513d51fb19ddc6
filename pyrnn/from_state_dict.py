"""from_state_dict: the layer or cell that a state dict describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .initial import skip_init
from .layers import GRU, LSTM, RNN
from .module import to_array
from .recurrent import Recurrent


def from_state_dict(state_dict: Mapping[str, Any], prefix: str = "", **options: Any) -> Recurrent:
    """Makes the layer that a state dict describes: cell, sizes, layers, directions, bias, projection, peepholes.

    Args:
        state_dict: names to array-likes, as saved by torch; other entries than the layer's are left alone.
        prefix: what stands before "weight_ih_l0", dot included: "encoder.rnn.".
        options: what weights do not tell, passed on to the layer: batch_first, dropout, nonlinearity of an RNN
            (default "tanh"), reset_after of a GRU (default True, torch's form), activation ...

    Returns:
        An RNN, LSTM or GRU in evaluation mode, of the weights' precision (float64 stays, all else is float32).

    Raises:
        ValueError: if the weights of a layer are not there, or their shapes fit no cell.

    Example:
        >>> import pyrnn
        >>> saved = {f"decoder.{name}": value for name, value in pyrnn.GRU(3, 5, num_layers=2).state_dict().items()}
        >>> pyrnn.from_state_dict(saved, prefix="decoder.")
        GRU(3, 5, num_layers=2)
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"expected a mapping of names to arrays, got {type(state_dict).__name__}")
    kinds_of_parameter = (f"{prefix}weight_", f"{prefix}bias_")
    mine = {
        name.removeprefix(prefix): to_array(value, name)
        for name, value in state_dict.items()
        if isinstance(name, str) and name.startswith(kinds_of_parameter)
    }
    if "weight_ih_l0" not in mine or "weight_hh_l0" not in mine:
        some = ", ".join(list(map(str, state_dict))[:6])
        raise ValueError(
            f"expected {prefix}weight_ih_l0 and {prefix}weight_hh_l0 in the state dict, which has: {some} ...; "
            "give the part before weight_ih_l0 as prefix="
        )
    for name, value in mine.items():
        if name.startswith(("weight_ih", "weight_hh", "weight_hr")) and (value.ndim != 2 or 0 in value.shape):
            raise ValueError(f"{prefix}{name} should be a matrix, got shape {value.shape}")
    rows, recurrent = mine["weight_hh_l0"].shape
    projection = mine.get("weight_hr_l0")
    hidden = recurrent if projection is None else projection.shape[1]
    kinds: dict[int, type[Recurrent]] = {1: RNN, 3: GRU, 4: LSTM}
    if rows % hidden or rows // hidden not in kinds:
        raise ValueError(
            f"{prefix}weight_hh_l0 has shape {(rows, recurrent)}: expected 1, 3 or 4 times {hidden} rows "
            "(RNN, GRU, LSTM)"
        )
    kind = kinds[rows // hidden]
    if projection is not None:
        options["proj_size"] = projection.shape[0]
    if "weight_peephole_l0" in mine:
        options["peephole"] = True
    last = max(int(name.removesuffix("_reverse").rpartition("_l")[2]) for name in mine if "_l" in name)
    wide = mine["weight_ih_l0"].dtype == np.float64
    with skip_init():
        layer = kind(
            mine["weight_ih_l0"].shape[1],
            hidden,
            num_layers=1 + last,
            bias="bias_ih_l0" in mine,
            bidirectional="weight_ih_l0_reverse" in mine,
            dtype=np.float64 if wide else np.float32,
            seed=0,
            **options,
        )
    layer.load_state_dict(mine)
    layer.eval()
    return layer
