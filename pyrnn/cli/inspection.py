"""Tells what a file of weights holds and what it does not tell, for `pyrnn inspect`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

from pyrnn.checks.arrays import Array
from pyrnn.checks.budget import Budget
from pyrnn.core.module import Module
from pyrnn.io.from_weights import described, prefixes
from pyrnn.io.loading import holds_layers, load, named_arrays
from pyrnn.weights.files import load_state_dict
from pyrnn.weights.parametrized import parameter_of
from pyrnn.weights.state_dict import metadata_of

Path = str | os.PathLike[str]

# The weights of a state dict do not tell these options.
OPEN = {
    "RNN": "nonlinearity (tanh or relu), batch_first, dropout",
    "GRU": "reset_after (True in torch), batch_first, dropout",
    "LSTM": "batch_first, dropout",
    "RNNCell": "nonlinearity (tanh or relu)",
}
KERAS_OPEN = (
    "the file does not tell the activations, the recurrent_activation of LSTM and GRU (sigmoid, or hard_sigmoid up to "
    "Keras 2.2) and the masks: make the model, and read the file with pyrnn.io.keras.load_weights"
)
NOTEBOOK = "pyrnn computes c' = f c + i g; the notebooks that such files come from omit i, so their numbers differ"


@dataclass(frozen=True)
class Entry:
    """Describes a layer, or arrays that belong to no known layer.

    Attributes:
        name: its name in the model or the state dict.
        kind: its class; "arrays" if the file does not tell it.
        options: its options, as its repr shows them.
        shapes: the shapes of its parameters and buffers, by name.
        parameters: the count of its numbers.
    """

    name: str
    kind: str
    options: str
    shapes: dict[str, tuple[int, ...]]
    parameters: int


@dataclass(frozen=True)
class Inspection:
    """Holds what `inspect` found.

    Attributes:
        file: the path of the file.
        holds: "a model", "a model not supported" or "weights alone".
        layers: the parts, in order.
        parameters: the count of all numbers.
        dtypes: the dtypes of the arrays.
        notes: sentences on what the file does not tell, or why it cannot be loaded.
    """

    file: str
    holds: str
    layers: list[Entry]
    parameters: int
    dtypes: list[str]
    notes: list[str]


def inspect(path: Path) -> Inspection:
    """Looks into any file that pyrnn reads.

    Args:
        path: the path of a state dict or a model that `pyrnn.load` takes. If a layer of a model is not supported, its
            arrays are shown, and a note gives the reason.

    Returns:
        The layers, shapes and parameters, and notes on what is ambiguous.

    Raises:
        ValueError: if the suffix is unknown or the file is damaged.
        FileNotFoundError: if the file does not exist.
        ImportError: if the package that reads the format is not installed.

    >>> import pyrnn, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pyrnn.save_state_dict(pyrnn.GRU(3, 5).state_dict(), f"{folder}/gru.npz")
    ...     found = inspect(f"{folder}/gru.npz")
    >>> found.layers[0].kind, found.parameters
    ('GRU', 150)
    """
    kind = holds_layers(path)
    if not kind:
        return _state_dict(path)
    try:
        model = load(path)
    except ValueError as error:
        refused = _arrays_of(path, kind)
        if refused is None:
            raise
        holds, arrays, open_ = refused
        return _inspection(path, holds, _loose(arrays), arrays, [str(error), *open_])
    layers = [_part(name, layer) for name, layer in model._modules.items()]
    notes = [NOTEBOOK] if kind == "json" and any(part.kind == "LSTM" for part in layers) else []
    return _inspection(path, "a model", layers, model.state_dict(), notes)


def _state_dict(path: Path) -> Inspection:
    tree = load_state_dict(path)
    arrays, metadata = named_arrays(tree), metadata_of(tree)
    layers, notes, left = [], [], dict(arrays)
    for prefix in prefixes(arrays):
        try:
            layer, _ = described(arrays, prefix, {}, metadata)
        except (RuntimeError, TypeError, ValueError) as error:
            notes.append(str(error))
            continue
        kind = type(layer).__name__
        layers.append(_part(prefix.removesuffix(".") or kind, layer))
        mine = {prefix + name for name in layer.parameters()}
        left = {name: array for name, array in left.items() if parameter_of(name) not in mine}
        if kind in OPEN and prefix.removesuffix(".") not in metadata:
            notes.append(f"{kind} {prefix or 'without a prefix'}: the weights do not tell {OPEN[kind]}")
    if len(layers) > 1 or (layers and left):
        which = ", ".join(f'prefix="{prefix}"' for prefix in prefixes(arrays)[:6])
        notes.append(f"pyrnn.load takes one recurrent layer of it: {which}")
    if not layers:
        notes.append("no recurrent layer in torch's names (weight_ih_l0 ...); pyrnn.load_state_dict reads the arrays")
    return _inspection(path, "weights alone", layers + _loose(left), arrays, notes)


def _arrays_of(path: Path, form: str) -> tuple[str, Mapping[str, Array], list[str]] | None:
    """Returns what a refused model holds, its arrays and notes; None if the file itself is damaged."""
    try:
        if form == "keras":
            file = import_module("pyrnn.io.keras.container").read(os.fspath(path))
            alone = file.model is None
            return ("weights alone" if alone else "a model not supported"), file.arrays, [KERAS_OPEN] * alone
        if form == "onnx":
            reading = import_module("pyrnn.io.onnx.reading")
            stored = reading.read_model(os.fspath(path), Budget(os.path.getsize(path))).graph.initializer
            return "a model not supported", {tensor.name: reading.to_array(tensor) for tensor in stored}, []
    except ValueError:
        pass
    return None


def _inspection(
    path: Path, holds: str, layers: list[Entry], arrays: Mapping[str, Array], notes: list[str]
) -> Inspection:
    dtypes = sorted({str(array.dtype) for array in arrays.values()})
    return Inspection(os.fspath(path), holds, layers, sum(array.size for array in arrays.values()), dtypes, notes)


def _part(name: str, layer: Module) -> Entry:
    state = layer.state_dict()
    shown = repr(layer).partition("(")[2].rpartition(")")[0]
    options = " ".join(shown.split())
    return Entry(name, type(layer).__name__, options, _shapes(state), sum(array.size for array in state.values()))


def _loose(arrays: Mapping[str, Array]) -> list[Entry]:
    """Groups arrays of no known layer by their folder or module."""
    groups: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        folder, _, leaf = name.rpartition("/" if "/" in name else ".")
        groups.setdefault(folder, {})[leaf] = array
    return [
        Entry(folder, "arrays", "", _shapes(found), sum(array.size for array in found.values()))
        for folder, found in groups.items()
    ]


def _shapes(arrays: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in arrays.items()}


def print_json(found: Inspection) -> None:
    """Prints one JSON object."""
    print(json.dumps(asdict(found)))


def print_tables(found: Inspection) -> None:
    """Prints a table of the layers and the notes under it."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"{escape(found.file)}: {found.holds}, {', '.join(found.dtypes) or 'no arrays'}", soft_wrap=True)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("layer", "type", "shapes"):
        table.add_column(heading, overflow="fold")
    table.add_column("parameters", justify="right")
    for part in found.layers:
        kind = f"{part.kind}({part.options})" if part.options else part.kind
        table.add_row(*map(escape, (part.name, kind, _lines(part.shapes.items()))), f"{part.parameters:,}")
    table.add_section()
    table.add_row("total", "", "", f"{found.parameters:,}")
    console.print(table)
    for note in found.notes:
        console.print(f"note: {escape(note)}", soft_wrap=True)


def _lines(shapes: Iterable[tuple[str, Sequence[Any]]]) -> str:
    return "\n".join(f"{name} {list(shape)}" for name, shape in shapes)
