"""Habits of torch, Python and the shell that would get in the way of every file."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
import torch

# Its thread pool costs more than these layers, and its sums depend on the thread count.
torch.set_num_threads(1)


# A Python that a test starts here would import pyrnn from the tree, which has no compiled core, and not as installed.
os.environ["PYTHONSAFEPATH"] = "1"

# Where benchmarks/ and examples/ are; last, since the clone's pyrnn/ would hide the one that is installed.
sys.path.append(str(Path(__file__).parents[1]))

# Ignored in what a script runs in the background; the tests of Ctrl-C need Python's own.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    # Said once per process, in whichever test comes first, of torch's float32 LSTM with proj_size.
    config.addinivalue_line("filterwarnings", "ignore:LSTM with projections is not supported:UserWarning")
