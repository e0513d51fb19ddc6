"""Fixtures of the tests under torch. torch is imported inside them: the core tests collect this folder without it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(params=[True, False], ids=["oneDNN", "no-oneDNN"])
def onednn(request: pytest.FixtureRequest) -> Iterator[None]:
    """Lets torch call oneDNN or not, by a private function: torch.backends.mkldnn.flags would warn of Intel's GPUs."""
    import torch

    torch._C._set_mkldnn_enabled(request.param)
    yield
    torch._C._set_mkldnn_enabled(True)
