"""The directive `coverage`, which makes a table from the code that it tells about: ```{coverage} layers```.

What a layer can do is found by trying: each is written as ONNX, exported as C, and loaded by the C library.
"""

from __future__ import annotations

import ctypes
import re
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nn_samples
import onnx
import torch
from sphinx.util.docutils import SphinxDirective

import pyrnn
from pyrnn import nn
from pyrnn.cli import c_library
from pyrnn.core.module import Module
from pyrnn.core.recurrent import Recurrent
from pyrnn.export.network import CNetwork
from pyrnn.io.conversion import WRITTEN
from pyrnn.io.keras.convert import CONVERTERS
from pyrnn.io.onnx import exporting, glue, importing
from pyrnn.weights.files import FORMATS
from pyrnn.weights.kinds import READERS, SUFFIXES

ROOT = Path(__file__).parents[1]
YES = "✓"
BUILD = ("dev", "docs", "keras-test", "onnx-test", "targets", "test", "test-core")  # extras for who changes pyrnn
Table = tuple[list[str], list[list[str]]]

# Plain forms of layers whose sample in the tests has options that ONNX or C lacks.
FORMS: dict[str, Callable[[], Module]] = {
    "Bidirectional": lambda: nn.Bidirectional(*(nn.LSTM(3, 4, batch_first=True) for _ in "12")),
    "ChannelsLast": lambda: nn.ChannelsLast(nn.Conv1d(3, 2, 3, padding=[(2, 0)])),
    "Embedding": lambda: nn.Embedding(6, 3),
    "Flatten": nn.Flatten,
    "LSTM": lambda: nn.LSTM(3, 4),
    "Sequential": lambda: nn.Sequential(nn.GRU(3, 2, batch_first=True)),
    "Softmax": nn.Softmax,
}
# Layers whose Keras name does not lead to the name here.
OF_KERAS = {"Dense": "Linear", "TimeDistributed": "Linear", "ELU": "Activation", "LeakyReLU": "Activation"}


def layers() -> Table:
    """The layers of pyrnn.nn, their counterparts, and what each can do."""
    head = ["layer", "torch", "Keras", "ONNX", "works with"]
    keras = keras_names()
    rows = []
    for name in sorted(nn_samples.SAMPLES):
        layer, shape = form_of(name)
        module = "pyrnn" if name in pyrnn.__all__ else "pyrnn.nn"
        works = {
            "`export.c`": any(map(is_exported, chains(layer))),
            "C library": any(map(is_loaded_by_c, chains(layer))),
            "`quantize`": any(isinstance(module, Recurrent) for _, module in layer.named_modules()),
            "`stream`": hasattr(layer, "stream"),
        }
        rows.append(
            [
                f"{{py:class}}`~{module}.{name}`",
                YES if hasattr(torch.nn, name) else "",
                ", ".join(keras.pop(name, [])),
                ", ".join(onnx_nodes(layer, shape)),
                ", ".join(each for each, holds in works.items() if holds),
            ]
        )
    assert set(keras) == {"InputLayer"}, f"no layer of pyrnn.nn has a name that leads to {keras}"
    return head, rows


def form_of(name: str) -> tuple[Module, tuple[int, ...]]:
    """A layer of float32, and the shape of an input for it."""
    make, inputs = nn_samples.SAMPLES[name]
    return FORMS[name]() if name in FORMS else nn.build(nn.describe(make())), inputs().shape


def keras_names() -> dict[str, list[str]]:
    """Layers of pyrnn.nn, and those of Keras that they are read from."""
    found: dict[str, list[str]] = {}
    for kind in CONVERTERS:
        name = re.sub("^(Simple|CuDNN)", "", kind).replace("Pooling", "Pool").replace("Normalization", "Norm")
        name = re.sub("^AveragePool", "AvgPool", name)
        places = {OF_KERAS.get(name, name), re.sub(r"(Pool|Conv)(\d)D", r"\1\2d", name), f"{name}1d", f"{name}2d"}
        for place in sorted(places & set(nn.LAYERS)) or [kind]:
            found.setdefault(place, []).append(kind)
    return found


def onnx_nodes(layer: Module, shape: tuple[int, ...]) -> list[str]:
    """The operators that a layer is written as; those that move axes only where there are no others."""
    if isinstance(layer, nn.Sequential):
        return ["those of its layers"]
    try:
        nodes = [node.op_type for node in exporting._model(onnx, layer, shape).graph.node]
    except (TypeError, ValueError):
        return []
    return list(dict.fromkeys(node for node in nodes if node not in glue.IMPORTERS) or dict.fromkeys(nodes))


def chains(layer: Module) -> Iterator[nn.Sequential]:
    """The layer alone, and after a layer that says how many features there are."""
    yield nn.Sequential(layer)
    yield nn.Sequential(nn.Linear(3, 3), layer)


def is_exported(model: nn.Sequential) -> bool:
    try:
        CNetwork(model, "float32")
    except (TypeError, ValueError):
        return False
    return True


def is_loaded_by_c(model: nn.Sequential) -> bool:
    library = ctypes.CDLL(str(next((c_library.folder() / "lib").glob("libpyrnn.so.*"))))
    loaded = ctypes.c_void_p()
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.safetensors")
        status = library.pyrnn_model_load(f"{folder}/model.safetensors".encode(), ctypes.byref(loaded))
    library.pyrnn_model_free(loaded)
    return status == 0


def keras() -> Table:
    """The layers of Keras that are read."""
    return ["Keras layer", "pyrnn.nn"], [
        [kind, ", ".join(name for name, kinds in keras_names().items() if kind in kinds and name in nn.LAYERS)]
        for kind in sorted(CONVERTERS)
    ]


def onnx_operators() -> Table:
    """The operators of ONNX that are read, those that move axes apart."""
    moved = sorted(glue.IMPORTERS)
    return ["ONNX operators that are read", ""], [
        ["layers and functions", ", ".join(sorted(set(importing.IMPORTERS) - set(moved)))],
        ["between layers", ", ".join(moved)],
    ]


def formats() -> Table:
    """The files that are read and written, and the extra that each needs."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    head = ["file", "holds", "read by", "written by", "extra"]
    rows = []
    for kind in READERS:
        suffixes = [suffix for suffix, known in SUFFIXES.items() if known == kind]
        arrays = [suffix for suffix in suffixes if suffix in FORMATS]
        whole = [suffix for suffix in suffixes if suffix in WRITTEN]
        writers = ["`save_state_dict`"] * bool(arrays) + ["`Sequential.save`"] * (kind == "safetensors")
        writers += [f"`pyrnn.io.{WRITTEN[suffix]}.save`" for suffix in whole]
        holds = "layers and weights" if not arrays else "weights"
        rows.append(
            [
                ", ".join(f"`{suffix}`" for suffix in suffixes),
                "weights, and layers where pyrnn wrote it" if kind == "safetensors" else holds,
                "`pyrnn.load`, `load_state_dict`" if arrays else "`pyrnn.load`",
                ", ".join(writers),
                f"`{kind}`" if kind in extras else "",
            ]
        )
    return head, rows


def isas() -> Table:
    """The instruction sets that the kernels are compiled for, out of CMakeLists.txt."""
    text = (ROOT / "CMakeLists.txt").read_text()
    found = re.findall(r"set\(PYRNN_BYTES_(\w+) (\d+)\)", text)
    return ["`PYRNN_ISA`", "bytes of a vector"], [
        [f"`{name}`", size if int(size) else "one number"] for name, size in found
    ]


def extras() -> Table:
    """The extras that users install, and the packages that each brings."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    rows = [[f"`{name}`", ", ".join(f"`{package}`" for package in known[name])] for name in known if name not in BUILD]
    return ["extra", "brings"], rows


def cells() -> Table:
    """What the compiled package says of each cell; no rows where it says nothing yet."""
    head = ["name", "layer", "gates", "slots", "states", "options"]
    known = getattr(pyrnn._core, "cells", dict)()
    return head, [[shown(getattr(cell, name)) for name in head] for cell in known.values()]


def shown(value: str | tuple[str, ...]) -> str:
    names = (value,) if isinstance(value, str) else value
    return ", ".join(f"`{name}`" for name in names)


TABLES = {each.__name__: each for each in (layers, keras, onnx_operators, formats, isas, extras, cells)}


class Coverage(SphinxDirective):
    """One of TABLES as a table of Markdown."""

    required_arguments = 1

    def run(self) -> list[Any]:
        head, rows = TABLES[self.arguments[0]]()
        lines = [head, ["---"] * len(head), *rows]
        return self.parse_text_to_nodes("\n".join(f"| {' | '.join(line)} |" for line in lines) if rows else "")


def setup(app: Any) -> dict[str, bool]:
    app.add_directive("coverage", Coverage)
    return {"parallel_read_safe": True}
