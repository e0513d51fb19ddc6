"""Pickles in torch files that are damaged or lie about their tensors are refused."""

from __future__ import annotations

import pickle as op
from pathlib import Path

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from weights_files import (
    SOUND,
    call,
    entry,
    leaf,
    name,
    refused,
    storage,
    tensor,
    torch_file,
)

from pyrnn.weights.files import load_state_dict


def test_the_files_made_by_hand_are_sound_but_for_what_each_test_breaks(tmp_path: Path) -> None:
    loaded = load_state_dict(torch_file(tmp_path, entry(tensor())))
    np.testing.assert_array_equal(loaded["weight"], np.arange(4, dtype=np.float32))
    assert torch.equal(torch.load(tmp_path / "model.pt")["weight"], torch.arange(4.0))


ORDERED = call(name("collections", "OrderedDict"))
STATE = op.EMPTY_DICT + leaf("key") + leaf(1) + op.SETITEM
TREES = {
    "reduce of a string": (entry(call(leaf("os.system"), leaf("ls"))), "calls something that is no function"),
    "reduce of a dtype": (
        entry(call(name("torch", "float32"), leaf(1))),
        "calls something that is no function",
    ),
    "arguments are no tuple": (entry(name("torch", "Size") + leaf(1) + op.REDUCE), "calls something"),
    "build on a dict": (op.EMPTY_DICT + STATE + op.BUILD, "sets attributes of an object"),
    "a state of a list": (op.EMPTY_LIST + STATE + op.BUILD, "sets attributes of an object"),
    "a buffer": (op.NEXT_BUFFER, "instruction NEXT_BUFFER"),
    "a reference by text": (op.PERSID + b"storage\n", "instruction PERSID"),
    "append to a dict": (op.EMPTY_DICT + leaf(1) + op.APPEND, "appends to something that is no list"),
    "items of a list": (
        op.EMPTY_LIST + leaf(0) + leaf(1) + op.SETITEM,
        "sets items of something that is no dict",
    ),
    "items of a tensor": (
        tensor() + leaf(0) + leaf(1) + op.SETITEM,
        "sets items of something that is no dict",
    ),
    "half an item": (op.EMPTY_DICT + op.MARK + leaf("a") + op.SETITEMS, "a key that has no value"),
    "a list": (op.EMPTY_LIST, "holds a list where a dict"),
    "a tensor": (tensor(), "holds a ndarray where a dict"),
    "numbers for names": (op.EMPTY_DICT + leaf(1) + leaf(2) + op.SETITEM, "where a dict of names"),
    "an unknown memo": (op.BINGET + b"\x07", "its pickle is damaged"),
    "an empty stack": (op.POP, "its pickle is damaged"),
    "nothing": (b"", "its pickle is damaged"),
    "too few arguments": (entry(call(name("torch._utils", "_rebuild_tensor_v2"))), "its pickle is damaged"),
    "no mark": (op.TUPLE, "its pickle is damaged"),
    "no opcode": (b"\xff", "its pickle is damaged .*opcode"),
    "a global without strings": (leaf(1) + leaf(2) + op.STACK_GLOBAL, "names a global by something"),
    "other references": (entry(storage(kind="module")), "refers to something that is no tensor storage"),
    "a reference to text": (entry(leaf("module") + op.BINPERSID), "its pickle is damaged"),
    "a reference to a number": (entry(leaf(1) + op.BINPERSID), "its pickle is damaged"),
    "an object": (call(name("m" * 10**5, "n")), r"holds a whole object .*, <m{100}\.\.\., not loaded>"),
}


@pytest.mark.parametrize("tree", TREES)
def test_pickles_that_are_no_plain_data_are_refused(tree: str, tmp_path: Path) -> None:
    body, because = TREES[tree]
    refused(torch_file(tmp_path, body), because)


def test_attributes_of_an_ordered_dict_are_dropped(tmp_path: Path) -> None:
    shadows = op.EMPTY_DICT + leaf("items") + leaf(1) + op.SETITEM + leaf("__class__") + leaf(2) + op.SETITEM
    assert load_state_dict(torch_file(tmp_path, ORDERED + STATE[1:] + shadows + op.BUILD)) == {"key": 1}


TENSORS = {
    "too long": (tensor((5,)), "beyond the end of its record"),
    "offset": (tensor((4,), offset=1), "beyond the end of its record"),
    "far offset": (tensor((1,), offset=2**70), "beyond the end of its record"),
    "stride": (tensor((2,), (4,)), "beyond the end of its record"),
    "far stride": (tensor((2,), (2**62,)), "beyond the end of its record"),
    "strides that overflow to 0": (tensor((2**31, 5), (2**33, 0)), "beyond the end of its record"),
    "negative size": (tensor((-1,)), "non-negative integers"),
    "negative stride": (tensor((2,), (-1,), 3), "non-negative integers"),
    "negative offset": (tensor((1,), (1,), -1), "non-negative integers"),
    "a bool": (tensor((True,)), "non-negative integers"),
    "a float": (tensor((1.0,)), "non-negative integers"),
    "a string": (tensor((1,), (1,), "0"), "non-negative integers"),
    "a list": (tensor([1]), "something else than storage, size and stride"),
    "no storage": (tensor(of=leaf("0")), "something else than storage, size and stride"),
    "more strides": (tensor((1,), (1, 1)), "1 sizes and 2 strides"),
    "many axes": (tensor((1,) * 33, (1,) * 33), "33 sizes and 33 strides"),
    "empty but vast": (tensor((0, 2**62), (1, 1)), "a size that no array can have"),
    "expanded to the stars": (tensor((2**40,), (0,)), "raise limit="),
    "expanded beyond": (tensor((2**40, 2**40), (0, 0)), "a size that no array can have"),
    "no record": (tensor(of=storage("1")), 'record "data/1" of a tensor is missing'),
    "a record elsewhere": (
        tensor(of=storage("../data.pkl")),
        'record "data/../data.pkl" of a tensor is missing',
    ),
    "fewer elements": (tensor((3,), of=storage(count=3)), "claims another size"),
    "more elements": (tensor(of=storage(count=5)), "claims another size"),
    "wider elements": (tensor(of=storage(dtype="DoubleStorage")), "claims another size"),
    "negative count": (tensor(of=storage(count=-4)), "claims another size"),
    "count of text": (tensor(of=storage(count="4")), "no tensor storage"),
    "key of a number": (tensor(of=storage(key=0)), "no tensor storage"),
    "no dtype": (tensor(of=storage(dtype="UntypedStorage", count=16)), "storage without a dtype"),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_that_lie_about_their_storage_are_refused(kind: str, tmp_path: Path) -> None:
    value, because = TENSORS[kind]
    refused(torch_file(tmp_path, entry(value)), because)


def test_a_length_of_one_may_have_any_stride(tmp_path: Path) -> None:
    loaded = load_state_dict(torch_file(tmp_path, entry(tensor((1, 4), (2**70, 1)))))
    assert loaded["weight"].tolist() == [[0, 1, 2, 3]]


def test_bytes_of_a_bool_other_than_0_and_1_become_true(tmp_path: Path) -> None:
    value = tensor((3,), of=storage(count=3, dtype="BoolStorage"))
    loaded = load_state_dict(torch_file(tmp_path, entry(value), data_0=b"\x00\x01\xfe"))
    assert loaded["weight"].view(np.uint8).tolist() == [0, 1, 1]


INSTRUCTIONS = [
    *(op.MARK, op.TUPLE, op.TUPLE1, op.TUPLE2, op.TUPLE3, op.EMPTY_TUPLE, op.EMPTY_LIST, op.EMPTY_DICT),
    *(op.APPEND, op.APPENDS, op.SETITEM, op.SETITEMS, op.BINPUT + b"\0", op.BINGET + b"\0", op.MEMOIZE),
    *(op.REDUCE, op.BUILD, op.BINPERSID, op.STACK_GLOBAL, op.NONE, op.NEWTRUE, op.STOP, op.LONG1 + b"\1\1"),
    *(leaf(value) for value in (0, -1, 2**70, 0.5, "", "storage", "torch", "FloatStorage", (1,), (4, 1))),
    *(name(*names) for names in (("collections", "OrderedDict"), ("collections", "Counter"), ("torch", "Size"))),
    *(name(*names) for names in (("torch", "device"), ("torch", "float32"), ("torch", "FloatStorage"))),
    *(name("torch._utils", f"_rebuild_{what}") for what in ("tensor_v2", "tensor_v3", "parameter")),
    *(tensor(), storage()),
]


@settings(max_examples=250, deadline=None)
@given(
    instructions=st.lists(st.one_of(st.sampled_from(INSTRUCTIONS), st.binary(max_size=3)), max_size=12),
    start=st.sampled_from([b"", op.EMPTY_DICT, op.EMPTY_DICT + leaf("weight"), SOUND]),
)
def test_any_instructions_make_plain_data_or_a_value_error(
    instructions: list[bytes], start: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    try:
        loaded = load_state_dict(torch_file(tmp_path_factory.getbasetemp(), start + b"".join(instructions)))
    except ValueError:
        return
    assert type(loaded) is dict
