"""NumPy, torch and C on this machine have one hash; `python tests/targets/one_hash.py` checks other machines too."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")

import one_hash


@pytest.mark.parametrize("network", one_hash.NETWORKS)
def test_python_torch_and_generated_c_have_one_hash(network: str, tmp_path: Path) -> None:
    compilers = {name: target for name, target in one_hash.ON_HOST.items() if shutil.which(target.compiler[0])}
    found = dict(one_hash.from_python(network)) | dict(one_hash.from_generated(network, compilers, tmp_path))
    assert "C99, gcc" in found
    assert len(set(found.values())) == 1, found
