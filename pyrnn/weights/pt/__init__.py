"""Reads and writes torch's .pt and .pth without torch: a zip of one pickle and a record of bytes per storage."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from pyrnn.checks.budget import Budget
from pyrnn.checks.placeholder import Placeholder

from ..archive import LOCAL_HEADER, read_records
from ..state_dict import dumped, loaded, with_metadata
from ..unreached import unreached
from .pickled import dumps
from .tree import Tree
from .unpickled import loads

ALIGNMENT = 64  # torch aligns the records of a file to this many bytes.
OPTIONS = "pyrnn.json"  # torch ignores this record, which holds the options that weights do not tell.


def load(file: BinaryIO, budget: Budget) -> dict[str, Any]:
    """Reads what torch.save (1.6 or later) was given: a state dict, or a checkpoint that holds some."""
    whole = {name: bytes(data) for name, data in read_records(file, _check_names, budget=budget).items()}
    records = {name.partition("/")[2]: data for name, data in whole.items()}
    options = records.get(OPTIONS, b"")
    budget.spend(16 * len(options), f"its record {OPTIONS}")
    tree = Tree(records, budget).plain(loads(records["data.pkl"]))
    if isinstance(tree, Placeholder):
        raise ValueError(
            f"it holds a whole object with its class, {tree!r}, and code is not executed; where it was written, save "
            "the weights alone: torch.save(model.state_dict(), path)"
        )
    if not isinstance(tree, dict) or not any(isinstance(name, str) for name in tree or [""]):
        why = f"; {found}" if (found := unreached(tree)) else ""
        raise ValueError(f"it holds a {type(tree).__name__} where a dict of names to tensors was expected{why}")
    return with_metadata(tree, loaded(options)) if options else tree


def save(state_dict: Mapping[str, Any], path: str) -> None:
    """Writes a file that torch.load reads."""
    pickled, arrays = dumps(state_dict)
    options = dumped(state_dict)
    with open(path, "wb") as file, zipfile.ZipFile(file, "w") as archive:

        def record(name: str, data: Any) -> None:
            entry = zipfile.ZipInfo(f"archive/{name}")
            start = file.tell() + LOCAL_HEADER + len(entry.filename) + 4
            padding = -start % ALIGNMENT
            entry.extra = struct.pack("<2sH", b"FB", padding) + bytes(padding)
            archive.writestr(entry, data)

        record("data.pkl", pickled)
        record("byteorder", b"little")
        for key, array in enumerate(arrays):
            record(f"data/{key}", array.reshape(-1).view(np.uint8).data)
        if options:
            record(OPTIONS, options)
        record("version", b"3\n")


def _check_names(names: list[str]) -> None:
    parts = [name.split("/") for name in names]
    if any("\\" in name for name in names) or any({"", ".", ".."} & set(part) for part in parts):
        raise ValueError("a record of its zip archive has a name that is no plain path")
    if len({part[0] for part in parts}) > 1:
        raise ValueError("the records of its zip archive are not all in one folder, as torch.save puts them")
    inside = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inside:
        raise ValueError(
            "it is a TorchScript program, which is code; with torch, save its weights: "
            "torch.save(torch.jit.load(path).state_dict(), new_path)"
        )
    if "data.pkl" not in inside:
        raise ValueError("it has no record data.pkl, so torch.save did not write it")
