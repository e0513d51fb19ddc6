"""The grid `load`: fresh processes that import a library, load a 2-layer LSTM from a file and run it once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from pyrnn.core.layers import LSTM
from pyrnn.io.onnx import save as save_onnx
from pyrnn.weights.files import save_state_dict

from .. import report
from ..measure import TOLERANCE
from ..peers import versions
from . import Grid, Options

SIZE, LAYERS = 128, 2

# Each is a whole program; `path` stands for the file. x is [T=1,B=1,I], from -1 to 1.
NUMPY = "import numpy\nx = numpy.linspace(-1, 1, {size}, dtype='float32').reshape(1, 1, -1)\n"
PROGRAMS = {
    "pyrnn": ("model.pt", NUMPY + "import pyrnn\ny = pyrnn.load(path)(x)[0]"),
    "torch": (
        "model.pt",
        "import torch\ntorch.set_num_threads({threads})\n"
        "x = torch.linspace(-1, 1, {size}).reshape(1, 1, -1)\nmodel = torch.nn.LSTM({size}, {size}, {layers})\n"
        "model.load_state_dict(torch.load(path, weights_only=True))\nwith torch.inference_mode(): y = model(x)[0]",
    ),
    "onnxruntime": (
        "model.onnx",
        NUMPY + "import onnxruntime\noptions = onnxruntime.SessionOptions()\n"
        "options.intra_op_num_threads = {threads}\n"
        "session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])\n"
        "y = session.run(None, {{'input': x}})[0]",
    ),
    "openvino": (
        "model.onnx",
        NUMPY + "import openvino\n"
        "options = {{'INFERENCE_NUM_THREADS': {threads}, 'INFERENCE_PRECISION_HINT': 'f32'}}\n"
        "y = openvino.Core().compile_model(path, 'CPU', options)([x])[0]",
    ),
    "numpy alone": ("model.pt", NUMPY + "y = x"),  # the start of NumPy, which all but torch contain
}

# VmHWM is the peak memory of this program; getrusage would give the parent's if that was larger before the fork.
AROUND = """
import sys, time
path, start = sys.argv[1], time.perf_counter()
{program}
seconds = time.perf_counter() - start
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
import json
print(json.dumps([seconds, peak, y.reshape(-1).tolist()]))
"""


@dataclass(frozen=True)
class Row:
    """The best of several starts.

    Attributes:
        name: the contestant's name.
        file: the file that it loaded.
        ms: milliseconds from the first line of the program to the first output, after Python's own start.
        peak_mb: the most memory that the process held, in 10^6 bytes.
    """

    name: str
    file: str
    ms: float
    peak_mb: float

    def record(self) -> dict[str, Any]:
        """Everything in the row, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return self.name


@contextmanager
def opened(options: Options) -> Iterator[Grid]:
    """Writes the files, and opens the grid."""
    known = [name for name in PROGRAMS if name in ("pyrnn", "numpy alone") or find_spec(name)]
    peers = versions(name for name in known if name not in ("pyrnn", "numpy alone"))
    missing = [name for name in PROGRAMS if name not in known]
    rounds = 3 if options.seconds < 60 else 10
    with tempfile.TemporaryDirectory() as folder:
        rows = measured(Path(folder), known, options.threads, rounds)
        yield Grid(rows, len(known), tables, peers, missing)


def measured(folder: Path, names: Sequence[str], threads: int, rounds: int) -> Iterator[Row]:
    """Starts every program `rounds` times, in turn.

    Raises:
        RuntimeError: if a program fails, or its output differs from pyrnn's.
    """
    layer = LSTM(SIZE, SIZE, LAYERS, seed=0)
    save_state_dict(layer.state_dict(), folder / "model.pt")
    save_onnx(layer, folder / "model.onnx")
    expected = layer(np.linspace(-1, 1, SIZE, dtype=np.float32).reshape(1, 1, -1))[0].reshape(-1)
    best: dict[str, tuple[float, float]] = {}
    for _ in range(rounds):
        for name in names:
            seconds, kilobytes, y = start(folder, name, threads)
            if name != "numpy alone":
                error = float(np.abs(np.array(y) - expected).max())
                if not error <= TOLERANCE["float32"]:
                    raise RuntimeError(f"{name} differs by {error:.1e} from pyrnn on a 2-layer LSTM")
            most = best.get(name, (float("inf"), float("inf")))
            best[name] = min(most[0], seconds), min(most[1], kilobytes)
    for name, (seconds, kilobytes) in best.items():
        yield Row(name, PROGRAMS[name][0], seconds * 1e3, kilobytes * 1024 / 1e6)


def start(folder: Path, name: str, threads: int) -> tuple[float, float, list[float]]:
    """Runs a program, and returns its seconds, peak kilobytes and output."""
    file, program = PROGRAMS[name]
    text = AROUND.format(program=program.format(size=SIZE, layers=LAYERS, threads=threads))
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYRNN_THREADS": str(threads)}
    # Without the variable Python keeps the bytecode of a checkout, and does not compile it at every start for 15 ms.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    # -P, because the current folder may be a clone, whose pyrnn/ has no compiled core.
    command = [sys.executable, "-P", "-c", text, str(folder / file)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} could not run the model: {done.stderr.strip().splitlines()[-1]}")
    seconds, kilobytes, y = json.loads(done.stdout)
    return seconds, kilobytes, y


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """All rows in one table."""
    heading = f"import, load a {LAYERS}-layer LSTM (I=H={SIZE}) and first output; file in the system's cache"
    table = report.new_table(heading, ["", "file"], ["ms", "of pyrnn's", "peak MB", "of pyrnn's"])
    ours = next(row for row in rows if row.name == "pyrnn")
    for row in rows:
        shares = f"{row.ms / ours.ms:.1f}", f"{row.peak_mb / ours.peak_mb:.1f}"
        file = row.file if row.name != "numpy alone" else "-"
        table.add_row(row.name, file, f"{row.ms:.0f}", shares[0], f"{row.peak_mb:.0f}", shares[1])
    yield table
