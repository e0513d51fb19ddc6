"""Objects of other classes beside the weights become placeholders; nothing is imported or called; weights load."""

from __future__ import annotations

import argparse
import collections
import copyreg
import datetime
import decimal
import enum
import fractions
import functools
import operator
import os
import pathlib
import pickle as op
import re
import subprocess
import sys
import types
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from weights_files import DATA, archive, call, dumped, entry, leaf, name, tensor, torch_file

import pyrnn
from pyrnn.weights.files import Placeholder, load_state_dict

GRU = torch.nn.GRU(3, 4)


class Color(enum.Enum):
    RED = 1


@dataclass
class Settings:
    rate: float = 0.1


class Slotted:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = {"a": [1]}


class Own(dict[str, Any]):
    """A dict of the user's."""


class Pairs(collections.OrderedDict[str, Any]):
    """An OrderedDict of the user's."""


class Subclass(torch.Tensor):
    """A tensor of the user's."""


class Stated:
    def __reduce_ex__(self, protocol: Any) -> Any:
        return Stated, (), {"weights": [0] * 1000}

    def __setstate__(self, state: Any) -> None:
        raise AssertionError("executed")


optimizer = torch.optim.Adam(GRU.parameters())
OBJECTS: dict[str, Callable[[], Any]] = {
    "Namespace": lambda: argparse.Namespace(lr=1e-3, inner=argparse.Namespace()),
    "SimpleNamespace": lambda: types.SimpleNamespace(a=1),
    "path": lambda: pathlib.PurePosixPath("runs/1"),
    "datetime": lambda: datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    "timedelta": lambda: datetime.timedelta(1),
    "Decimal": lambda: decimal.Decimal("1.5"),
    "Fraction": lambda: fractions.Fraction(1, 3),
    "UUID": lambda: uuid.UUID(int=1),
    "enum": lambda: Color.RED,
    "dataclass": Settings,
    "slots": Slotted,
    "__setstate__": Stated,
    "partial": lambda: functools.partial(operator.add, 1),
    "function": lambda: os.path.join,
    "class": lambda: Settings,
    "range": lambda: range(3),
    "slice": lambda: slice(1, 2),
    "NumPy dtype": lambda: np.dtype("f4"),
    "NumPy text": lambda: np.array(["a"]),
    "NumPy objects": lambda: np.array([{}], object),
    "NumPy complex": lambda: np.complex64(1j),
    "NumPy dates": lambda: np.array(["2024-01-01"], "M8[D]"),
    "NumPy records": lambda: np.zeros(2, [("a", "f4")]),
    "masked array": lambda: np.ma.masked_array([1.0], [True]),
    "random generator": lambda: np.random.default_rng(0),
    "RandomState": lambda: np.random.RandomState(0),
    "torch generator": torch.Generator,
    "optimizer": lambda: optimizer,
    "scheduler": lambda: torch.optim.lr_scheduler.StepLR(optimizer, 1),
    "module": lambda: torch.nn.Linear(2, 2),
    "complex tensor": lambda: torch.ones(1, dtype=torch.complex64),
    "sparse tensor": lambda: torch.eye(2).to_sparse(),
    "quantized tensor": lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
    "tensor of a subclass": lambda: torch.ones(2).as_subclass(Subclass),
    "negated tensor": lambda: torch.tensor([1j]).conj().imag,
    "float8": lambda: torch.ones(2).to(torch.float8_e4m3fn),
}


@pytest.mark.filterwarnings("ignore:.*(quantized|TypedStorage).*")
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", OBJECTS)
def test_a_foreign_object_becomes_a_placeholder_and_the_weights_load(kind: str, protocol: int, tmp_path: Path) -> None:
    value = OBJECTS[kind]()
    given = {"model": GRU.state_dict(), "extra": value, "more": {"list": [value, 1], "tuple": (2, value)}}
    torch.save(given, tmp_path / "model.pt", pickle_protocol=protocol)
    tree = load_state_dict(tmp_path / "model.pt")
    assert isinstance(tree["extra"], Placeholder)
    assert repr(tree["extra"]).endswith(", not loaded>")
    assert tree["more"]["list"][1] == 1
    assert tree["more"]["tuple"][0] == 2
    loaded = pyrnn.load(tmp_path / "model.pt")
    assert repr(loaded) == "GRU(3, 4)"
    np.testing.assert_array_equal(loaded.weight_hh_l0, GRU.weight_hh_l0.detach().numpy())


PLAIN: dict[str, tuple[Any, Any]] = {
    "set": ({1, "a", (2, 3)}, {1, "a", (2, 3)}),
    "frozenset": (frozenset({1}), frozenset({1})),
    "empty set": (set(), set()),
    "bytes": (b"a\xff\0", b"a\xff\0"),
    "empty bytes": (b"", b""),
    "bytearray": (bytearray(b"ab"), bytearray(b"ab")),
    "complex": (1 + 2j, 1 + 2j),
    "tuple keys": ({(1, 2): 3, (("a", 1), b"b"): 4}, {(1, 2): 3, (("a", 1), b"b"): 4}),
    "defaultdict": (collections.defaultdict(list, {"a": [1]}), {"a": [1]}),
    "empty defaultdict": (collections.defaultdict(list), {}),
    "OrderedDict of a subclass": (Pairs(a=1), {"a": 1}),
    "dict of a subclass": (Own(a=1), {"a": 1}),
    "deque": (collections.deque([1, 2]), [1, 2]),
    "float64": (np.float64(0.25), 0.25),
    "float32": (np.float32(0.1), float(np.float32(0.1))),
    "float16": (np.float16(0.5), 0.5),
    "int64": (np.int64(-3), -3),
    "bool": (np.bool_(True), True),
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", PLAIN)
def test_an_object_with_a_plain_value_is_loaded_as_that_value(kind: str, protocol: int, tmp_path: Path) -> None:
    value, plain = PLAIN[kind]
    torch.save({"model": GRU.state_dict(), "extra": value}, tmp_path / "model.pt", pickle_protocol=protocol)
    extra = load_state_dict(tmp_path / "model.pt")["extra"]
    assert extra == plain
    assert type(extra) is type(plain)
    assert repr(pyrnn.load(tmp_path / "model.pt")) == "GRU(3, 4)"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8", "i1", "<i2", ">i4", "i8", "u1", "u2", "u4", "u8", "?"])
def test_arrays_of_numpy_are_loaded_as_they_are(dtype: str, protocol: int, tmp_path: Path) -> None:
    array = (np.arange(6).reshape(2, 3) % 4).astype(dtype)
    given = {"c": array, "f": np.asfortranarray(array), "empty": array[:0], "0-d": np.array(array[1, 2]), "t": array.T}
    torch.save({"model": GRU.state_dict(), "arrays": given}, tmp_path / "model.pt", pickle_protocol=protocol)
    found = load_state_dict(tmp_path / "model.pt")["arrays"]
    for key, value in given.items():
        assert found[key].dtype == value.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found[key], value)
        assert found[key].flags.writeable
    assert repr(pyrnn.load(tmp_path / "model.pt")) == "GRU(3, 4)"


def test_a_state_dict_of_a_class_of_its_own_is_found(tmp_path: Path) -> None:
    torch.save({"model": Own(GRU.state_dict())}, tmp_path / "model.pt")
    assert repr(pyrnn.load(tmp_path / "model.pt")) == "GRU(3, 4)"


def test_a_class_that_is_not_installed_and_one_that_is_are_not_imported(tmp_path: Path) -> None:
    body = leaf("gone") + call(name("not_installed.models", "Config"), leaf(1)) + leaf("there")
    body += call(name("xml.dom.minidom", "Document")) + leaf("weight") + tensor()
    torch_file(tmp_path, op.EMPTY_DICT + op.MARK + body + op.SETITEMS)
    program = """
import sys, pyrnn
tree = pyrnn.load_state_dict(sys.argv[1])
assert "xml.dom.minidom" not in sys.modules
print(tree["gone"], tree["there"], tree["weight"].sum())
"""
    command = [sys.executable, "-c", program, str(tmp_path / "model.pt")]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert said == "<not_installed.models.Config, not loaded> <xml.dom.minidom.Document, not loaded> 6.0\n"


class Call:
    """An object whose pickle is a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.made = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.made


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.system, ["touch {}"], "posix.system"),
        (eval, ["open('{}', 'w')"], "builtins.eval"),
        (exec, ["open('{}', 'w')"], "builtins.exec"),
        (open, ["{}", "w"], "io.open"),
        (getattr, [os, "system"], "builtins.getattr"),
        (op.loads, [dumped(name("os", "system"))], "(_pickle|pickle).loads"),
        (torch.load, ["{}"], "torch.serialization.load"),
        (Path("x").write_text, [""], "builtins.getattr"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_call_in_the_file_is_not_made(
    function: Callable[..., Any], arguments: list[Any], named: str, protocol: int, tmp_path: Path
) -> None:
    marker = tmp_path / "executed"
    arguments = [word.format(marker) if isinstance(word, str) else 0 for word in arguments]
    pickled = op.dumps({"weight": Call(function, *arguments), "is": "there"}, protocol)
    path = archive(tmp_path / "model.pt", {"model/data.pkl": pickled, "model/data/0": DATA})
    tree = load_state_dict(path)
    assert re.fullmatch(f"<{named}, not loaded>", repr(tree["weight"]))
    assert tree["is"] == "there"
    assert not marker.exists()


STATE = op.EMPTY_DICT + leaf("key") + leaf(1) + op.SETITEM
SYSTEM = name("os", "system")
MADE = {
    "instance": op.MARK + leaf("ls") + op.INST + b"os\nsystem\n",
    "object": op.MARK + SYSTEM + leaf("ls") + op.OBJ,
    "new object": SYSTEM + leaf(("ls",)) + op.NEWOBJ,
    "new object with keywords": SYSTEM + leaf(("ls",)) + STATE + op.NEWOBJ_EX,
    "reconstructed": call(name("copy_reg", "_reconstructor"), SYSTEM, name("__builtin__", "object"), leaf(None)),
    "made by copyreg": call(name("copyreg", "__newobj__"), SYSTEM, leaf(1)),
    "a state": call(SYSTEM, leaf("ls")) + STATE + op.BUILD,
    "a state with slots": call(SYSTEM, leaf("ls")) + leaf((None, {"a": 1})) + op.BUILD,
    "a state of a function": SYSTEM + STATE + op.BUILD,
    "a call of what a call gave": call(call(SYSTEM, leaf("ls")), leaf("ls")),
    "duplicate": SYSTEM + op.DUP + op.POP,
    "pop to the mark": SYSTEM + op.MARK + leaf(1) + op.POP_MARK,
    "pop of a mark": SYSTEM + op.MARK + op.POP,
    "text instructions": SYSTEM + op.PUT + b"7\n" + op.POP + op.GET + b"7\n",
}


@pytest.mark.parametrize("way", MADE)
def test_every_way_of_making_an_object_gives_its_name(way: str, tmp_path: Path) -> None:
    loaded = load_state_dict(torch_file(tmp_path, entry(MADE[way])))
    assert repr(loaded["weight"]) == "<os.system, not loaded>"


def test_extension_codes_are_not_looked_up(tmp_path: Path) -> None:
    copyreg.add_extension("os", "system", 240)
    try:
        loaded = load_state_dict(torch_file(tmp_path, entry(call(op.EXT1 + b"\xf0", leaf("ls")))))
    finally:
        copyreg.remove_extension("os", "system", 240)
    assert repr(loaded["weight"]) == "<copyreg extension 240, not loaded>"


def test_a_weight_that_is_not_loaded_is_named_where_the_layer_needs_it(tmp_path: Path) -> None:
    state = dict(GRU.state_dict())
    state["weight_hh_l0"] = state["weight_hh_l0"].to_sparse()
    torch.save({"model": state}, tmp_path / "model.pt")
    needed = r'weight_hh_l0" is <torch\._utils\._rebuild_sparse_tensor, not loaded>'
    with pytest.raises(TypeError, match=needed):
        pyrnn.from_state_dict(load_state_dict(tmp_path / "model.pt")["model"])
    with pytest.raises(ValueError, match=needed):
        pyrnn.load(tmp_path / "model.pt")


def test_a_whole_module_is_named_with_what_to_do(tmp_path: Path) -> None:
    torch.save(torch.nn.GRU(3, 4), tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"<torch\.nn\.modules\.rnn\.GRU, not loaded>.*save\(model\.state_dict\(\)"):
        pyrnn.load(tmp_path / "model.pt")
    torch.save({"model": torch.nn.GRU(3, 4), "epoch": 3}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"model <torch\.nn\.modules\.rnn\.GRU, not loaded>.*model\.state_dict\(\)"):
        pyrnn.load(tmp_path / "model.pt")


def test_a_placeholder_keeps_nothing_and_is_short() -> None:
    assert len(repr(Placeholder("x" * 10**6))) < 200
    repr(Placeholder("\ud800\n")).encode("ascii")
