"""torch's two habits that would get in the way of every file."""

from __future__ import annotations

import pytest
import torch

# Its thread pool costs more than these layers, and its sums depend on the thread count.
torch.set_num_threads(1)


def pytest_configure(config: pytest.Config) -> None:
    # Said once per process, in whichever test comes first, of torch's float32 LSTM with proj_size.
    config.addinivalue_line("filterwarnings", "ignore:LSTM with projections is not supported:UserWarning")
