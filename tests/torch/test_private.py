"""torch's private names stand in one file, each with a fallback that computes the same."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

import pyrnn.torch
from pyrnn.torch import private

FOLDER = Path(pyrnn.torch.__file__).parent
MISSING = """
import sys, warnings
import torch
import pyrnn.torch.private as private  # imports pyrnn.torch first: the fallbacks are compared after a reload
import importlib
lookup = private.lookup
source = private.__spec__.loader.get_source(private.__name__)
found = "    found: Any = torch\\n"
source = source.replace(found, "    if name.path == MISSING: return fallback\\n" + found)
for name in private.NAMES:
    scope = {"__name__": "changed", "MISSING": name.path}
    exec(compile(source, "changed", "exec"), scope)
    assert scope["special_mode"]() is None or "torch runs every call" in scope["special_mode"](), name
    assert scope["onednn_runs"](torch.float32) in (True, False)
    assert scope["autocasts"]() is False and scope["is_profiling"]() is False
    scope["skip_in_graphs"](lambda: None)
"""


def test_no_other_file_touches_torchs_private_names() -> None:
    touched = re.compile(r"torch\._(?!_)\w+|\b_VF\b|forward_ad\._|torch\.ops\.mkldnn")
    found = {path.name: touched.findall(re.sub(r'""".*?"""|#.*', "", path.read_text(), flags=re.S))
             for path in FOLDER.glob("*.py") if path.name != "private.py"}  # fmt: skip
    assert {name: hits for name, hits in found.items() if hits} == {}


@pytest.mark.parametrize("name", private.NAMES, ids=lambda name: name.path)
def test_this_torch_has_the_name(name: private.Private) -> None:
    # `_dynamo_marked_constant` is an attribute that pyrnn sets, so torch has no object of this name.
    nothing = object()
    assert name is private.CONSTANT or private.lookup(name, nothing) is not nothing


def test_each_fallback_answers_where_torch_lacks_the_name() -> None:
    done = subprocess.run([sys.executable, "-c", MISSING], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("version", ["2.12.1", "2.14.0", "3.0.0a0+gitabc", "99"])
def test_an_untested_version_warns_with_the_range_that_was_tested(version: str) -> None:
    with pytest.warns(UserWarning, match=f"pyrnn is tested with torch .*, and this is torch {re.escape(version)}"):
        private.warn_if_untested(version)


def test_a_tested_version_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        private.warn_if_untested(private.TESTED[1] + "+cpu")
        private.warn_if_untested(torch.__version__)
