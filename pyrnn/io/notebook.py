"""Reads and writes the JSON of from-scratch notebooks: LSTM and dense layers with an array for each gate.

    [{"type": "lstm", "params": {"W_f": [I,H], "U_f": [H,H], "b_f": [H], ... of the gates f, i, c, o}},
     {"type": "dense", "params": {"kernel": [I,O], "bias": [O]}}]

The cell computes c' = f c + i g, and its gates are x @ W + h @ U + b: row j of U multiplies unit j of the state. The
notebook that these files come from differs in two ways, and so computes other numbers from the same weights. It
multiplies U @ h, where row j of U gives unit j of the gate; recurrent="U@h" reads such files. It also omits the input
gate, c' = f c + g, which no option computes.
"""

from __future__ import annotations

import json
import os
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyrnn import LSTM, Linear, nn
from pyrnn.checks.arguments import check_bools, float_dtype
from pyrnn.checks.arrays import Array
from pyrnn.checks.budget import Budget
from pyrnn.checks.quoting import brief, listed, quoted
from pyrnn.core.facts import GATES
from pyrnn.core.making import loading
from pyrnn.core.module import Module
from pyrnn.io.loading import load_kind
from pyrnn.weights.files import replaced
from pyrnn.weights.foreign import named

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

# The file's names of the gates, in its order, and ours.
NAMES = {"f": "f", "i": "i", "c": "g", "o": "o"}
KEYS = {"type", "params", "return_sequences"}
RECURRENT = ("h@U", "U@h")
MAX_LAYERS = 1000
JSON_RATIO = 24  # A Python object may take this many bytes for each byte of JSON: "{}," becomes 72.


def load(
    path: str | os.PathLike[str],
    *,
    return_sequences: bool = False,
    dtype: DTypeLike = np.float64,
    recurrent: str = "h@U",
    limit: int | None = None,
) -> nn.Sequential:
    """`pyrnn.load` for the JSON of a notebook.

    Args:
        path: the path of the file. A bias may have shape [H], [H,1] or [1,H].
        return_sequences: whether all steps of the last LSTM go on. If False, only the last step does, as in the
            notebooks. It applies to files that do not say it themselves, as files of `save` may.
        dtype: the dtype of the layers, float32 or float64; the numbers in the file are float64.
        recurrent: the product with which the U of the file were trained, "h@U" or "U@h"; the file does not say it.
        limit: the number of bytes that its contents may take in memory; by default 64 times its length, and 16 MiB.

    Returns:
        An nn.Sequential of batch-first LSTM, LastStep and Linear, in evaluation mode, for inputs [B,T,I].

    Raises:
        ValueError: if the file is damaged or another kind of JSON; if a layer is neither "lstm" nor "dense"; if an
            array is missing, unknown or of a wrong shape; or if `recurrent` is neither "h@U" nor "U@h".
        FileNotFoundError: if the file does not exist.

    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "model.json")
    ...     layers = '[{"type": "dense", "params": {"kernel": [[2.0], [3.0]], "bias": [1.0]}}]'
    ...     path.write_text(layers) == len(layers)
    ...     load(path)(np.ones((1, 2)))
    True
    array([[6.]])
    """
    kind = float_dtype(dtype)
    model: nn.Sequential = load_kind(
        "json", path, limit, return_sequences=return_sequences, dtype=kind, recurrent=recurrent
    )
    return model


def read(
    path: str,
    limit: int | None = None,
    return_sequences: bool = False,
    dtype: DTypeLike = np.float64,
    recurrent: str = "h@U",
) -> nn.Sequential:
    """The layers of a file; see `load`."""
    check_bools(return_sequences=return_sequences)
    if recurrent not in RECURRENT:
        raise ValueError(f'recurrent should be "h@U" or "U@h", got {quoted(recurrent)}')
    entries = _read(path, limit)
    with loading():
        return _sequential(entries, return_sequences, float_dtype(dtype), recurrent == "U@h")


def save(model: Module, path: str | os.PathLike[str]) -> None:
    """Writes a Sequential of LSTM and Linear, or a single one; `load` reads the same numbers back.

    The two biases of an LSTM become their sum, and a dropout is omitted. If all steps of the last LSTM go on, its
    entry says "return_sequences": true, which notebooks ignore.

    Args:
        model: a Sequential of LSTM, Linear, Dropout and a LastStep after the last LSTM, or one LSTM or Linear.
        path: the path to write.

    Raises:
        ValueError: if a layer or one of its options has no counterpart, or a number is not finite.
        OSError: if the file cannot be written.

    >>> import tempfile, pyrnn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(pyrnn.Linear(2, 1), f"{folder}/model.json")
    ...     load(f"{folder}/model.json")
    Sequential(
      (0): Linear(in_features=2, out_features=1, bias=True)
    )
    """
    layers = [
        (name, layer)
        for name, layer in (model._modules.items() if isinstance(model, nn.Sequential) else [("", model)])
        if not isinstance(layer, nn.Dropout)
    ]
    last = max((place for place, (_, layer) in enumerate(layers) if isinstance(layer, LSTM)), default=None)
    entries: list[dict[str, Any]] = []
    for place, (name, layer) in enumerate(layers):
        if isinstance(layer, nn.LastStep) and layer.batch_first and last is not None and place == last + 1:
            del entries[-1]["return_sequences"]
        else:
            entries += _entries(name, layer)
            if place == last:
                entries[-1]["return_sequences"] = True
    try:
        text = json.dumps(entries, allow_nan=False)
    except ValueError as error:
        raise ValueError("the model has a weight that is not finite, which JSON cannot hold") from error
    with replaced(path) as unfinished:
        Path(unfinished).write_text(text, encoding="utf-8")


def _read(path: str | os.PathLike[str], limit: int | None) -> list[dict[str, Any]]:
    content = Path(path).read_bytes()
    Budget(len(content), limit).spend(JSON_RATIO * len(content), "its JSON")
    try:
        entries = json.loads(content, parse_constant=_refuse_constant, parse_int=float)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"it is no JSON ({quoted(error)[1:-1]})") from error
    if not isinstance(entries, list) or not entries or not any(map(_is_layer, entries)):
        raise ValueError(named(entries))
    if len(entries) > MAX_LAYERS:
        raise ValueError(f"it has {len(entries)} layers; at most {MAX_LAYERS} are read")
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("params"), dict):
            raise ValueError(f'layer {place} should be an object with "type" and "params"')
        unknown = [key for key in entry if key not in KEYS]
        if unknown:
            raise ValueError(
                f"layer {place} has the key {quoted(unknown[0])}, which is not known; it may change the result"
            )
    return entries


def _is_layer(entry: Any) -> bool:
    return isinstance(entry, dict) and not KEYS.isdisjoint(entry)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"it holds {name}, and weights should be finite")


def _sequential(
    entries: Sequence[dict[str, Any]], return_sequences: bool, dtype: np.dtype[Any], transposed: bool
) -> nn.Sequential:
    last = max((place for place, entry in enumerate(entries) if entry.get("type") == "lstm"), default=None)
    layers: list[Module] = []
    for place, entry in enumerate(entries):
        kind, params = entry.get("type"), entry["params"]
        keeps = entry.get("return_sequences", True if place != last else return_sequences)
        if kind not in ("lstm", "dense"):
            raise ValueError(f'layer {place} is of the type {_shown(kind)}; known are "lstm" and "dense"')
        if not isinstance(keeps, bool) or (not keeps and (kind, place) != ("lstm", last)):
            raise ValueError(f"layer {place}: return_sequences should be true, or of the last lstm true or false")
        where = f"layer {place} ({kind})"
        layers.append(_lstm(where, params, dtype, transposed) if kind == "lstm" else _dense(where, params, dtype))
        if place == last and not keeps:
            layers.append(nn.LastStep(batch_first=True))
    _check_widths(layers)
    return nn.Sequential(*layers).eval()


def _lstm(where: str, params: dict[str, Any], dtype: np.dtype[Any], transposed: bool) -> Module:
    """Makes the layer; `transposed` means that the file is for U @ h, so U has torch's layout already."""
    _check_names(where, params, [f"{kind}_{gate}" for kind in "WUb" for gate in NAMES])
    inputs, hidden = _matrix(where, params, "W_f").shape
    blocks: dict[str, list[Array]] = {"weight_ih_l0": [], "weight_hh_l0": [], "bias_ih_l0": []}
    for gate in sorted(NAMES, key=lambda gate: GATES["LSTM"].index(NAMES[gate])):
        for kind, rows, name in (("W", inputs, "weight_ih_l0"), ("U", hidden, "weight_hh_l0")):
            block = _matrix(where, params, f"{kind}_{gate}", (rows, hidden))
            blocks[name].append(block if kind == "U" and transposed else block.T)
        blocks["bias_ih_l0"].append(_vector(where, params, f"b_{gate}", hidden))
    state = {name: np.concatenate(arrays) for name, arrays in blocks.items()}
    made = LSTM(inputs, hidden, batch_first=True, dtype=dtype, seed=0)
    made.load_state_dict({**state, "bias_hh_l0": np.zeros(len(NAMES) * hidden)})
    return made


def _dense(where: str, params: dict[str, Any], dtype: np.dtype[Any]) -> Module:
    _check_names(where, params, ["kernel", "bias"])
    kernel = _matrix(where, params, "kernel")
    made = Linear(*kernel.shape, dtype=dtype, seed=0)
    made.load_state_dict({"weight": kernel.T, "bias": _vector(where, params, "bias", kernel.shape[1])})
    return made


def _check_names(where: str, params: dict[str, Any], names: list[str]) -> None:
    for wrong, found in (("misses", set(names) - set(params)), ("has the unknown", set(params) - set(names))):
        if found:
            raise ValueError(f"{where} {wrong} {listed(sorted(found))}")


def _matrix(where: str, params: dict[str, Any], name: str, shape: tuple[int, int] | None = None) -> Array:
    found = _numbers(where, params, name)
    if found.ndim != 2 or not found.size or shape not in (None, found.shape):
        expected = "inputs, outputs" if shape is None else f"{shape[0]}, {shape[1]}"
        raise ValueError(f"{where}: {name} should have the shape ({expected}), got {found.shape}")
    return found


def _vector(where: str, params: dict[str, Any], name: str, size: int) -> Array:
    found = _numbers(where, params, name)
    if found.shape not in ((size,), (size, 1), (1, size)):
        raise ValueError(f"{where}: {name} should have the shape ({size},) or ({size}, 1), got {found.shape}")
    return found.reshape(size)


def _numbers(where: str, params: dict[str, Any], name: str) -> Array:
    try:
        # Texts stay objects: NumPy would make an array as wide as the longest.
        found = np.asarray(params[name], object)
    except ValueError as error:  # The rows have different lengths.
        raise ValueError(f"{where}: {name} is no array of numbers") from error
    kinds = set(map(type, found.flat))
    if kinds & {dict, list}:
        raise ValueError(f"{where}: {name} is no array of numbers")
    if kinds - {float} or not np.isfinite(numbers := found.astype(np.float64)).all():
        raise ValueError(f"{where}: {name} should hold finite numbers alone")
    return numbers


def _shown(value: object) -> str:
    """Shows a value of a file in a sentence; of a long or deeply nested list it shows the beginning."""
    return quoted(value if isinstance(value, str) else reprlib.repr(value))


def _check_widths(layers: Sequence[Module]) -> None:
    width = None
    for place, layer in enumerate(layer for layer in layers if not isinstance(layer, nn.LastStep)):
        inputs, outputs = layer.state_dict()["weight" if isinstance(layer, Linear) else "weight_ih_l0"].shape[::-1]
        if width not in (None, inputs):
            raise ValueError(f"layer {place} takes {inputs} features, and the layer before it gives {width}")
        width = outputs if isinstance(layer, Linear) else outputs // 4


def _entries(name: str, layer: Module) -> list[dict[str, Any]]:
    """Returns the entries for a layer; a stacked LSTM has one for each of its layers."""
    if isinstance(layer, Linear):
        weight = layer.weight
        bias = layer.state_dict().get("bias", np.zeros(len(weight)))
        return [{"type": "dense", "params": {"kernel": weight.T.tolist(), "bias": bias.tolist()}}]
    if not isinstance(layer, LSTM):
        raise ValueError(
            f"layer {brief(name)} is a {type(layer).__name__}; the JSON of notebooks holds LSTM and Linear, and a "
            "LastStep after the last LSTM"
        )
    plain: dict[str, Any] = {"batch_first": True, "bidirectional": False, "proj_size": 0, "peephole": False}
    plain |= {"activation": "tanh", "recurrent_activation": "sigmoid"}
    for option, value in plain.items():
        if (found := getattr(layer, option)) != value:
            raise ValueError(
                f"layer {brief(name)} has {option}={brief(found)}; the JSON of notebooks means {option}={brief(value)}"
            )
    return [{"type": "lstm", "params": _params(layer, k)} for k in range(layer.num_layers)]


def _params(layer: LSTM, k: int) -> dict[str, Any]:
    state = layer.state_dict()
    bias = state[f"bias_ih_l{k}"] + state[f"bias_hh_l{k}"] if layer.bias else np.zeros(len(NAMES) * layer.hidden_size)
    kinds = {"W": state[f"weight_ih_l{k}"], "U": state[f"weight_hh_l{k}"], "b": bias}
    return {
        f"{kind}_{gate}": np.split(array, len(NAMES))[GATES["LSTM"].index(name)].T.tolist()
        for kind, array in kinds.items()
        for gate, name in NAMES.items()
    }
