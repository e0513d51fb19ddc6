"""The rows of compare_wheels.py, and the process that times them, once for each wheel and round.

A row is a call that a user makes, in one thread on one CPU. The sizes are those of the suite. The measured time is
this process' CPU time, which other processes do not lengthen.

python benchmarks/rows.py CPU            answers each line "SECONDS ROW" of its input with the microseconds of a call
python benchmarks/rows.py CPU CALLS ROW  makes so many calls under callgrind, which counts their instructions
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import calls
import numpy as np
from calls import Call, normal

SHAPES = runpy.run_path(str(Path(__file__).parent / "shapes.py"))
CELLS = ("RNN", "LSTM", "GRU")
MIDDLE = (100, 8, 64, 64)
STREAM_SIZES = (8, 16, 32, 64, 128)
BATCH_SECONDS = 0.002  # time between two reads of the clock, each of which is a system call

Rows = dict[str, Callable[[], Call]]


def rows() -> Rows:
    """Functions that make the call of each row, by the row's name."""
    every: Rows = {}
    for cell in CELLS:
        every |= layers(cell) | streams(cell) | small_networks(cell)
    every |= networks() | files()
    if find_spec("torch"):
        for cell in CELLS:
            every |= drop_ins(cell)
    return every


def size(*shape: int) -> str:
    return ",".join(map(str, shape))


def layers(cell: str) -> Rows:
    every: Rows = {}
    stacked = {"num_layers": 2, "bidirectional": True}
    for task, make in (("inference", calls.inference), ("training", calls.training)):
        for shape in SHAPES["SEQUENCES"][task]:
            every[f"{task} {cell} {size(*shape)}"] = partial(make, cell, shape)
        every[f"{task} {cell} float64"] = partial(make, cell, MIDDLE, "float64")
        every[f"{task} {cell} two bidirectional layers"] = partial(make, cell, MIDDLE, **stacked)
    every[f"inference {cell} lengths"] = partial(calls.padded, cell, MIDDLE)
    every[f"trace {cell}"] = partial(calls.traced, cell, MIDDLE)
    for shape in SHAPES["STEPS"]:
        every[f"{cell}Cell {size(*shape[1:])}"] = partial(calls.cell_step, f"{cell}Cell", *shape[1:])
    return every


def streams(cell: str) -> Rows:
    every: Rows = {f"stream {cell} {hidden}": partial(calls.step, cell, hidden) for hidden in STREAM_SIZES}
    every[f"stream {cell} 64, batch 8"] = partial(calls.step, cell, 64, batch=8)
    for format in ("bf16", "int8"):
        every[f"stream {cell} 512 {format}"] = partial(calls.step, cell, 512, format)
        every[f"inference {cell} 50,1,512,512 {format}"] = partial(calls.quantized, cell, 512, format)
    return every


def small_networks(cell: str) -> Rows:
    one, many = normal(1, 1, 8), normal(32, 50, 8)
    return {
        f"network {cell} one step": lambda: calls.forward(calls.small_network(cell), one),
        f"network {cell} 32 sequences": lambda: calls.forward(calls.small_network(cell), many),
        f"network {cell} vjp": lambda: calls.way_back(calls.small_network(cell), many),
        f"fit {cell}": lambda: calls.fit(calls.small_network(cell), normal(128, 20, 8)),
    }


def networks() -> Rows:
    sequences, images, words = normal(32, 50, 64), normal(8, 3, 16, 16), np.arange(400).reshape(8, 50) % 100
    return {
        "Linear 1,128,128": partial(calls.nn_layer, "Linear", normal(1, 128), 128, 128),
        "Linear 256,512,512": partial(calls.nn_layer, "Linear", normal(256, 512), 512, 512),
        "nn.Embedding": partial(calls.nn_layer, "Embedding", words, 100, 32),
        "nn.LayerNorm": partial(calls.nn_layer, "LayerNorm", sequences, 64),
        "nn.BatchNorm1d": partial(calls.nn_layer, "BatchNorm1d", sequences, 50),
        "nn.Conv1d": partial(calls.nn_layer, "Conv1d", normal(8, 16, 100), 16, 32, 3),
        "nn.Conv2d": partial(calls.nn_layer, "Conv2d", images, 3, 8, 3),
        "nn.MaxPool2d": partial(calls.nn_layer, "MaxPool2d", images, 2),
        "nn.Softmax": partial(calls.nn_layer, "Softmax", sequences),
        "nn.Activation gelu": partial(calls.nn_layer, "Activation", sequences, "gelu"),
        "network Conv1d": lambda: calls.forward(calls.convolutions(), normal(8, 16, 64)),
        "network Conv1d vjp": lambda: calls.way_back(calls.convolutions(), normal(8, 16, 64)),
        "fit Conv1d": lambda: calls.fit(calls.convolutions(), normal(128, 16, 64)),
    }


def files() -> Rows:
    suffixes = ["pt", "npz", *(["safetensors"] if find_spec("safetensors") else [])]
    return {
        **{f"load_state_dict .{suffix}": partial(calls.load, suffix) for suffix in suffixes},
        **({"nn.Sequential.load": calls.load_network} if "safetensors" in suffixes else {}),
        **({f"C library, {steps} steps": partial(calls.c_library, steps) for steps in (1, 100)}),
        "import pyrnn": lambda: calls.fresh_import,
    }


def drop_ins(cell: str) -> Rows:
    every: Rows = {f"torch {cell} stream": partial(calls.torch_stream, cell)}
    for task in ("inference", "training"):
        for dtype in ("float32", "float64"):
            for kind, shape in ((cell, MIDDLE), (f"{cell}Cell", SHAPES["STEPS"][-1])):
                every[f"torch {task} {kind} {size(*shape)} {dtype}"] = partial(calls.drop_in, task, kind, shape, dtype)
    return every


# -- timing ------------------------------------------------------------------------------------------------


def timed(call: Call, seconds: float) -> float:
    """The least seconds of a call over batches of 2 ms, measured for `seconds`; a long call is made once."""
    if call is calls.fresh_import:
        return min(call(), call())
    number, taken = 1, many(call, 1)
    while taken < BATCH_SECONDS:
        number = max(number + 1, min(10 * number, int(1.2 * number * BATCH_SECONDS / taken)))
        taken = many(call, number)
    best, end = taken, time.process_time() + seconds - taken
    while time.process_time() < end:
        best = min(best, many(call, number))
    return best / number


def many(call: Call, number: int) -> float:
    """Seconds of so many calls."""
    turns = range(number)
    start = time.process_time()
    for _ in turns:
        call()
    return time.process_time() - start


def answer() -> None:
    """Times the rows that the input names, and makes the call anew for each change of row."""
    every, name, call = rows(), None, None
    print(json.dumps(list(every)), flush=True)
    for line in sys.stdin:
        seconds, _, wanted = line.rstrip("\n").partition(" ")
        if wanted != name:
            call = None  # frees its memory before the next row allocates
            name, call = wanted, every[wanted]()
        print(timed(call, float(seconds)) * 1e6, flush=True)


def counted(row: str, number: int) -> None:
    """Makes some calls that are not counted, then those that are."""
    call = rows()[row]()
    many(call, 3)
    callgrind("on")
    many(call, number)
    callgrind("off")


def callgrind(state: str) -> None:
    """Switches callgrind's counting on or off."""
    subprocess.run(["callgrind_control", "-i", state, str(os.getpid())], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})
    if len(sys.argv) == 2:
        answer()
    else:
        counted(sys.argv[3], int(sys.argv[2]))
