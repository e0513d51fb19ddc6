"""Makes the layer or cell that a state dict describes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from pyrnn import _core
from pyrnn.checks.arguments import arguments_of
from pyrnn.checks.arrays import Array, to_array
from pyrnn.checks.quoting import escaped, listed, quoted
from pyrnn.core.cells import Cell, GRUCell, LSTMCell, RNNCell
from pyrnn.core.facts import FACTS
from pyrnn.core.layers import GRU, LSTM, RNN
from pyrnn.core.making import loading
from pyrnn.core.recurrent import Recurrent
from pyrnn.weights.keys import IncompatibleKeys, mismatches
from pyrnn.weights.parametrized import parameter_of, put_together
from pyrnn.weights.state_dict import Metadata, checked

CELLS: list[tuple[type[Recurrent], type[Cell], str]] = [
    (RNN, RNNCell, "rnn_tanh"),
    (GRU, GRUCell, "gru"),
    (LSTM, LSTMCell, "lstm"),
]
BY_GATES = {len(FACTS[mode].gates): (layer, cell, mode) for layer, cell, mode in CELLS}  # weights tell how many
_OURS = re.compile(r"weight_|bias_|parametrizations\.")  # begins what may be a layer's parameter
_LAYER = re.compile(r"(?:weight_(?:ih|hh|hr|peephole)|bias_(?:ih|hh))_l(0|[1-9][0-9]{0,8})(?:_reverse)?")
_DOUBT = (
    'the weights {} ... of an {} do not tell its nonlinearity: tanh is taken; say nonlinearity="tanh" or '
    'nonlinearity="relu"'
)


def from_state_dict(state_dict: Mapping[str, Any], prefix: str = "", **options: Any) -> Recurrent | Cell:
    """Makes the layer that a state dict describes: cell, sizes, layers, directions, bias, projection, peepholes.

    It is the second half of `pyrnn.load`, for a state dict that is in memory.

    Parameters that torch keeps in parts (weight_norm, spectral_norm, pruning) are put together.

    Args:
        state_dict: maps names to array-likes, as torch saves them; entries that do not belong to the layer are
            ignored. Options in its attribute `_metadata`, which pyrnn's state dicts have, are used.
        prefix: the text before "weight_ih_l0", with its dot: "encoder.rnn.".
        options: what weights do not tell; it goes to the layer: batch_first, dropout, nonlinearity of an RNN (default
            "tanh", with a warning), reset_after of a GRU (default True, torch's form), activation ...

    Returns:
        An RNN, LSTM or GRU in evaluation mode, with the weights' precision (float64 stays, other dtypes become
        float32). It is an RNNCell, LSTMCell or GRUCell if the names are those of a cell ("weight_ih").

    Raises:
        ValueError: if weights are missing, unexpected or of a wrong shape, which the message names, or if the parts of
            a parameter do not tell how it is computed.
        TypeError: if the layer has no such option, or a weight is not numeric.

    Example:
        >>> import pyrnn
        >>> saved = {f"decoder.{name}": value for name, value in pyrnn.GRU(3, 5, num_layers=2).state_dict().items()}
        >>> pyrnn.from_state_dict(saved, prefix="decoder.")
        GRU(3, 5, num_layers=2)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html names and shapes the parameters.
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"expected a mapping of names to arrays, got {type(state_dict).__name__}")
    check_prefix(prefix)
    layer, doubt = described(state_dict, prefix, options, checked(getattr(state_dict, "_metadata", None)))
    if doubt:
        warnings.warn(doubt, UserWarning, stacklevel=2)
    return layer


def described(
    state_dict: Mapping[str, Any], prefix: str, options: Mapping[str, Any], metadata: Metadata
) -> tuple[Recurrent | Cell, str]:
    """Makes the layer, with options of the metadata that the caller does not give, and returns a warning or ""."""
    given, mine = _parameters(state_dict, prefix)
    stored = metadata.get(prefix.removesuffix("."), {})
    end = "_l0" if "weight_ih_l0" in mine else ""
    if f"weight_ih{end}" not in mine or f"weight_hh{end}" not in mine:
        raise ValueError(
            f"expected {escaped(prefix)}weight_ih_l0 and weight_hh_l0 in the state dict (for a cell, weight_ih and "
            f"weight_hh), which has: {listed(state_dict) or 'nothing'}; give the part before weight_ih as prefix="
        )
    for name, value in mine.items():
        if name.startswith(("weight_ih", "weight_hh", "weight_hr")) and (value.ndim != 2 or 0 in value.shape):
            raise ValueError(f"{quoted(prefix + name)} should be a matrix, got shape {value.shape}")
    gates, sizes = _sizes(mine, end, prefix)
    kind, cell, mode = BY_GATES[gates]
    dtype = np.float64 if mine[f"weight_ih{end}"].dtype == np.float64 else np.float32
    if not end:
        sizes = {name: sizes[name] for name in ("input_size", "hidden_size", "bias")}
        _check_names(given, mine, _core.Spec.make(mode, **sizes).parameters, "", cell.__name__)
    else:
        sizes |= {"num_layers": 1 + _last_layer(mine), "bidirectional": "weight_ih_l0_reverse" in mine}
        if kind is LSTM and "weight_peephole_l0" in mine:
            sizes["peephole"] = True
        _check_names(given, mine, _core.Spec.make(mode, **sizes).parameters, end, kind.__name__)
        if kind is not LSTM:
            del sizes["proj_size"]
    made = kind if end else cell
    known = [name for name in arguments_of(made) if name not in (*sizes, "dtype", "seed")]
    for name in options:
        if name not in known:
            takes = ", ".join(known) or "nothing that the weights do not tell"
            reason = "the weights tell it" if name in sizes else f"a {made.__name__} takes {takes}"
            raise TypeError(f"{escaped(name)}= cannot be given: {reason}")
    if "nonlinearity" in options:
        # An activation that the file names would replace the nonlinearity that the caller asks for.
        stored = {name: value for name, value in stored.items() if name != "activation"}
    taken = {name: value for name, value in stored.items() if name in known} | dict(options)
    with loading():
        layer = made(**sizes, dtype=dtype, seed=0, **taken)
    layer.load_state_dict(mine)
    in_doubt = gates == 1 and not {"nonlinearity", "activation"} & set(taken)
    return layer.eval(), _DOUBT.format(f"{escaped(prefix)}weight_ih{end}", made.__name__) if in_doubt else ""


def check_prefix(prefix: Any) -> None:
    """Raises TypeError unless the prefix is a string."""
    if not isinstance(prefix, str):
        raise TypeError(f"prefix should be a string, got {type(prefix).__name__}")


def _parameters(state_dict: Mapping[str, Any], prefix: str) -> tuple[list[str], dict[str, Array]]:
    """Returns the names without the prefix as the state dict has them, and the arrays with parts put together."""
    names = [name for name in state_dict if isinstance(name, str) and name.startswith(prefix)]
    mine = {name: to_array(state_dict[name], name) for name in names if _OURS.match(name, len(prefix))}
    whole = {name.removeprefix(prefix): value for name, value in put_together(mine).items()}
    return [name.removeprefix(prefix) for name in mine], whole


def _sizes(mine: Mapping[str, Array], end: str, prefix: str) -> tuple[int, dict[str, Any]]:
    """Returns the number of gates and the arguments of the constructor."""
    rows, recurrent = mine[f"weight_hh{end}"].shape
    projection = mine.get(f"weight_hr{end}")
    hidden = recurrent if projection is None else projection.shape[1]
    if rows % hidden or rows // hidden not in BY_GATES:
        raise ValueError(
            f"{escaped(prefix)}weight_hh{end} has shape {(rows, recurrent)}: expected 1, 3 or 4 times {hidden} rows "
            "(RNN, GRU, LSTM)"
        )
    gates = rows // hidden
    if projection is not None and "proj_size" not in FACTS[BY_GATES[gates][2]].options:
        raise ValueError(
            f"{escaped(prefix)}weight_hr{end} is the projection of an LSTM, and the weights are of {gates} gates"
        )
    sizes = {"input_size": mine[f"weight_ih{end}"].shape[1], "hidden_size": hidden, "bias": f"bias_ih{end}" in mine}
    return gates, sizes | {"proj_size": 0 if projection is None else projection.shape[0]}


def _last_layer(mine: Mapping[str, Array]) -> int:
    """Returns the largest layer number; raises ValueError unless the numbers go from 0 up without a gap."""
    numbers = {int(found[1]) for name in mine if (found := _LAYER.fullmatch(name))}
    missing = next(k for k in range(len(numbers) + 1) if k not in numbers)
    if missing < len(numbers):
        last = max(numbers)
        raise ValueError(f"its weights name layer {last}, and none names layer {missing} (weight_ih_l{missing})")
    return len(numbers) - 1


def _check_names(
    given: list[str], mine: Mapping[str, Array], parameters: list[tuple[str, Any]], end: str, kind: str
) -> None:
    """Raises ValueError with torch's sentences before a layer is allocated; `given` has the caller's names."""
    own = {(name if end else name.removesuffix("_l0")): tuple(shape) for name, shape in parameters}
    keys = IncompatibleKeys(
        [name for name in own if name not in mine], [name for name in given if parameter_of(name) not in own]
    )
    shapes = ((name, value.shape, own[name]) for name, value in mine.items() if name in own)
    problems = keys.problems() + mismatches(shapes)
    if problems:
        raise ValueError("\n\t".join([f"Error(s) in loading state_dict for {kind}:", *problems]))


def prefixes(names: Mapping[str, Any]) -> list[str]:
    """Returns the prefix of each recurrent layer or cell in a state dict; it may be ""."""
    parameters = {parameter_of(name): None for name in names}
    found: dict[str, None] = {}
    for name in parameters:
        before, dot, last = name.rpartition(".")
        if last == "weight_ih_l0" or (last == "weight_ih" and f"{before}{dot}weight_hh" in parameters):
            found[before + dot] = None
    return list(found)
