"""The calls that rows.py times: each function makes one, with its data, and returns it.

They use NumPy, torch where a row is about torch, and only names of pyrnn that are public in every version compared.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Call = Callable[[], Any]
Shape = tuple[int, ...]  # T, B, I, H

IMPORT = (
    "import time, numpy, numpy.random; start = time.process_time(); import pyrnn; print(time.process_time() - start)"
)


def normal(*shape: int, dtype: str = "float32") -> Any:
    """Random numbers of a fixed seed."""
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


# -- layers ------------------------------------------------------------------------------------------------


def inference(cell: str, shape: Shape, dtype: str = "float32", **options: Any) -> Call:
    import pyrnn

    layer, x = getattr(pyrnn, cell)(*shape[2:], seed=0, dtype=dtype, **options), normal(*shape[:3], dtype=dtype)
    return lambda: layer(x)


def training(cell: str, shape: Shape, dtype: str = "float32", **options: Any) -> Call:
    import pyrnn

    layer, x = getattr(pyrnn, cell)(*shape[2:], seed=0, dtype=dtype, **options), normal(*shape[:3], dtype=dtype)
    dy = np.ones_like(layer(x)[0])

    def call() -> Any:
        return layer.vjp(x)[-1](dy)

    return call


def padded(cell: str, shape: Shape) -> Call:
    import pyrnn

    steps, batch, input, hidden = shape
    layer, x = getattr(pyrnn, cell)(input, hidden, seed=0), normal(*shape[:3])
    lengths = np.random.default_rng(0).integers(steps // 4, steps, batch)
    return lambda: layer(x, lengths=lengths)


def traced(cell: str, shape: Shape) -> Call:
    import pyrnn

    layer, x = getattr(pyrnn, cell)(*shape[2:], seed=0), normal(*shape[:3])
    return lambda: layer.trace(x)


def step(cell: str, size: int, format: str = "float32", batch: int = 1) -> Call:
    import pyrnn

    layer, x = getattr(pyrnn, cell)(size, size, seed=0), normal(batch, size)
    stream = (layer if format == "float32" else layer.quantize(format)).stream(batch)
    out = np.empty_like(stream.step(x))
    return lambda: stream.step(x, out=out)


def quantized(cell: str, size: int, format: str) -> Call:
    import pyrnn

    layer, x = getattr(pyrnn, cell)(size, size, seed=0).quantize(format), normal(50, 1, size)
    return lambda: layer(x)


def cell_step(cell: str, batch: int, input: int, hidden: int) -> Call:
    import pyrnn

    one, x = getattr(pyrnn, cell)(input, hidden, seed=0), normal(batch, input)
    return lambda: one(x)


# -- networks ----------------------------------------------------------------------------------------------


def small_network(cell: str = "GRU", size: int = 16) -> Any:
    from pyrnn import nn

    layer = getattr(nn, cell)(8, size, batch_first=True, seed=0)
    return nn.Sequential(layer, nn.LastStep(batch_first=True), nn.Linear(size, 2, seed=0))


def convolutions() -> Any:
    from pyrnn import nn

    layers = nn.Conv1d(16, 32, 3, padding=1, seed=0), nn.BatchNorm1d(32), nn.ReLU(), nn.MaxPool1d(2)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 32, 8, seed=0))


def forward(network: Any, x: Any) -> Call:
    network.eval()
    return lambda: network(x)


def way_back(network: Any, x: Any) -> Call:
    dy = np.ones_like(network(x))

    def call() -> Any:
        return network.vjp(x)[-1](dy)

    return call


def fit(network: Any, x: Any) -> Call:
    from pyrnn import train

    y = np.ones_like(network(x))
    return lambda: train.fit(network, (x, y), epochs=1, batch_size=32, seed=0, progress=False)


def nn_layer(name: str, x: Any, *arguments: Any, **options: Any) -> Call:
    from pyrnn import nn

    return forward(getattr(nn, name)(*arguments, **options), x)


# -- files, the C library, import ---------------------------------------------------------------------------


def load(suffix: str) -> Call:
    import pyrnn

    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / f"model.{suffix}"
    pyrnn.save_state_dict(pyrnn.LSTM(64, 128, num_layers=2, seed=0).state_dict(), path)
    return lambda kept=folder: pyrnn.load_state_dict(path)


def load_network() -> Call:
    from pyrnn import nn

    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "model.safetensors"
    small_network("LSTM", 64).save(path)
    return lambda kept=folder: nn.Sequential.load(path)


def c_library(steps: int) -> Call:
    """`steps` steps of pyrnn_stream_run, in a library that ctypes opens."""
    import pyrnn

    files = (Path(pyrnn.__path__[0]) / "c" / "lib").glob(
        "libpyrnn.so*"
    )  # wheels hold no links: the others name the library
    library = ctypes.CDLL(str(max(files, key=lambda path: path.stat().st_size)))
    model, stream = ctypes.c_void_p(), ctypes.c_void_p()
    with tempfile.TemporaryDirectory() as folder:
        small_network().save(Path(folder) / "model.safetensors")
        path = os.fsencode(f"{folder}/model.safetensors")
        assert library.pyrnn_model_load(path, ctypes.byref(model)) == 0
    assert library.pyrnn_stream_new(model, ctypes.c_size_t(1), ctypes.byref(stream)) == 0
    x, y = normal(steps, 8), np.empty((steps, 2), np.float32)
    places = x.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(steps), y.ctypes.data_as(ctypes.c_void_p)
    return lambda kept=(x, y): library.pyrnn_stream_run(stream, *places)


def fresh_import() -> float:
    """Seconds of `import pyrnn` in a process that has imported NumPy."""
    done = subprocess.run([sys.executable, "-P", "-c", IMPORT], capture_output=True, text=True, check=True)
    return float(done.stdout)


# -- torch -------------------------------------------------------------------------------------------------


def drop_in(task: str, cell: str, shape: Shape, dtype: str) -> Call:
    import torch

    import pyrnn.torch

    torch.set_num_threads(1)
    module = getattr(pyrnn.torch, cell)(*shape[2:], dtype=getattr(torch, dtype))
    x = torch.from_numpy(normal(*(shape[1:3] if cell.endswith("Cell") else shape[:3]), dtype=dtype))

    def infer() -> Any:
        with torch.inference_mode():
            return module(x)

    def train() -> None:
        module.zero_grad()
        result = module(x)
        while isinstance(result, tuple):
            result = result[0]
        result.sum().backward()

    return infer if task == "inference" else train


def torch_stream(cell: str) -> Call:
    import torch

    import pyrnn.torch

    torch.set_num_threads(1)
    stream, x = getattr(pyrnn.torch, cell)(64, 64).stream(1), torch.from_numpy(normal(1, 64))
    return lambda: stream.step(x)
