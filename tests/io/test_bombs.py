"""Torch files whose pickle would take vast memory are refused before they take it."""

from __future__ import annotations

import pickle as op
import tracemalloc
from pathlib import Path

import pytest
from weights_files import entry, leaf, refused, storage, tensor, torch_file

from pyrnn.weights.files import load_state_dict


def doubled(start: bytes, pair: bytes, times: int) -> bytes:
    """A tree of 2^times leaves, in which each level holds the one below twice."""
    return start + (op.BINPUT + b"\x00" + op.BINGET + b"\x00" + pair) * times


def lists_in_one_list() -> bytes:
    """A list of a thousand numbers, and a thousand times that list."""
    inner = op.EMPTY_LIST + op.MARK + leaf(1) * 1000 + op.APPENDS + op.BINPUT + b"\x00"
    return op.EMPTY_LIST + op.MARK + inner + (op.BINGET + b"\x00") * 1000 + op.APPENDS


VAST = {
    "memo": (leaf(1) + op.LONG_BINPUT + b"\xf0\xff\xff\xff" + op.POP, "its pickle is damaged"),
    "string": (op.BINUNICODE + b"\xff\xff\xff\xff", "expected 4294967295 bytes"),
    "long string": (op.BINUNICODE8 + b"\xff" * 7 + b"\x0f", "its pickle is damaged .expected"),
    "bytes": (op.BINBYTES8 + b"\xff" * 7 + b"\x0f", "its pickle is damaged .expected"),
    "frame": (op.FRAME + b"\xff" * 8 + leaf(1), "holds a int"),
    "long": (op.LONG4 + b"\xff\xff\xff\x7f", "its pickle is damaged .not enough data"),
    "text number": (
        op.LONG + b"9" * 10**5 + b"L\n",
        "its pickle is damaged .Exceeds the limit",
    ),
    "shared tuples": (entry(doubled(leaf(1), op.TUPLE2, 90)), "raise limit="),
    "shared tuples for a key": (
        op.EMPTY_DICT + doubled(leaf(1), op.TUPLE2, 90) + leaf(1) + op.SETITEM,
        "raise limit=",
    ),
    "shared tuples for a module": (
        doubled(leaf(1), op.TUPLE2, 90) + leaf("x") + op.STACK_GLOBAL,
        "names a global",
    ),
    "shared lists": (entry(lists_in_one_list()), "raise limit="),
    "deep lists": (op.EMPTY_LIST * 10**4 + op.APPEND * (10**4 - 1), "it holds a list where a dict"),
    "deep tuples": (leaf(1) + op.TUPLE1 * 10**4, "it holds a tuple where a dict"),
    "endless list": (
        op.EMPTY_LIST + op.BINPUT + b"\x00" + op.BINGET + b"\x00" + op.APPEND,
        "it holds a list where a dict",
    ),
    "marks": (op.MARK * 10**4, "its pickle is damaged"),
}


@pytest.mark.parametrize("bomb", VAST)
def test_pickles_that_ask_for_vast_memory_are_refused(
    bomb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyrnn.checks.budget.HARMLESS", 0)  # otherwise each may take 16 MiB before it is refused
    body, because = VAST[bomb]
    # 10^4 lists, for instance, are made before the reader counts them.
    refused(torch_file(tmp_path, body), because, memory=2**22)


def test_many_tensors_on_one_storage_take_bounded_memory(tmp_path: Path) -> None:
    count = 2**18  # a megabyte
    shared = op.BINPUT + b"\x00" + (op.BINGET + b"\x00") * 10**4
    value = op.EMPTY_LIST + op.MARK + tensor((count,), of=storage(count=count)) + shared + op.APPENDS
    path = torch_file(tmp_path, entry(value), data_0=bytes(4 * count))
    tracemalloc.start()
    with pytest.raises(ValueError, match="raise limit="):
        load_state_dict(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 66 * path.stat().st_size + 2**24


def test_a_pickle_of_very_many_instructions_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyrnn.weights.pt.unpickled.MAX_INSTRUCTIONS", 1000)
    refused(torch_file(tmp_path, entry(leaf([1] * 1000))), "its pickle has more than 1000 instructions")
