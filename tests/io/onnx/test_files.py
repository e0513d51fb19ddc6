"""load reads external data only from the model's folder, and refuses damaged files and foreign operators."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")

import numpy as np
import onnx
from onnx_models import write

import pyrnn
from pyrnn.io.onnx import load, run_node, save

M = np.arange(6, dtype=np.float32).reshape(3, 2)
BODY = "(float[b,3] x) => (float[b,2] y) { y = MatMul(x, m) }"


def external(path: Path, location: str, **fields: int) -> None:
    """Writes a model whose matrix stands in another file."""
    model = onnx.load(write(path, BODY, {"m": M}))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **fields}.items():
        tensor.external_data.add(key=key, value=str(value))
    path.write_bytes(model.SerializeToString())


def test_external_data_are_read_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "m.data").write_bytes(bytes(8) + M.tobytes())
    external(tmp_path / "m.onnx", "m.data", offset=8, length=24)
    np.testing.assert_array_equal(load(tmp_path / "m.onnx")[0].weight, M.T)


OUTSIDE: dict[str, tuple[str, dict[str, int]]] = {
    "above": ("../m.data", {}),
    "absolute": ("ABSOLUTE", {}),
    "a link": ("link.data", {}),
    "nothing": ("none.data", {}),
    "beyond its end": ("m.data", {"offset": 20, "length": 24}),
    "too short": ("m.data", {"length": 20}),
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_other_external_data_are_refused(case: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for place in (tmp_path, folder):
        (place / "m.data").write_bytes(M.tobytes())
    (folder / "link.data").symlink_to(tmp_path / "m.data")
    location, fields = OUTSIDE[case]
    external(folder / "m.onnx", str(tmp_path / "m.data") if location == "ABSOLUTE" else location, **fields)
    with pytest.raises(ValueError, match=r"m.onnx cannot be loaded: (external data of .m.|it is no sound ONNX model)"):
        load(folder / "m.onnx")


def test_tensors_that_share_external_data_are_bounded(tmp_path: Path) -> None:
    path, big = tmp_path / "m.onnx", 2**20
    (tmp_path / "m.data").write_bytes(bytes(big))
    external(path, "m.data")
    model = onnx.load(path, load_external_data=False)
    for i in range(40):
        copy = model.graph.initializer.add()
        copy.CopyFrom(model.graph.initializer[0])
        copy.name = f"copy{i}"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=r"external data of .* would take"):
        load(path)


def function(model: Any) -> None:
    model.functions.append(onnx.helper.make_function("own", "F", ["a"], ["b"], [], []))


def branches(model: Any) -> None:
    graph = onnx.helper.make_graph([], "g", [], [])
    model.graph.node.append(onnx.helper.make_node("If", ["x"], ["q"], then_branch=graph, else_branch=graph))


def foreign(model: Any) -> None:
    model.graph.node[0].domain = "com.microsoft"


def sparse(model: Any) -> None:
    model.graph.sparse_initializer.add()


def short(model: Any) -> None:
    model.graph.initializer[0].raw_data = b"1234"


def huge(model: Any) -> None:
    model.graph.initializer[0].dims[0] = 2**40


def untyped(model: Any) -> None:
    model.graph.input[0].type.tensor_type.elem_type = 84


def keyed(model: Any) -> None:
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    model.graph.initializer[0].external_data.add(key="command", value="m.data")


def unsorted(model: Any) -> None:
    model.graph.node[0].input[0] = "y"


SPOILED = {
    function: 'defines a function of its own, "F"',
    branches: 'the If node "q" has a graph in its attribute',
    foreign: 'the MatMul node "y" is of the domain "com.microsoft"',
    sparse: "sparse initializers",
    short: "no sound ONNX model",
    huge: "no sound ONNX model",
    untyped: 'its input "x" is of data_type 84, which ONNX does not have',
    keyed: 'external data of "m" have an unknown key, "command"',
    unsorted: "no sound ONNX model",
}


@pytest.mark.parametrize("spoil", SPOILED)
def test_parts_that_no_chain_of_layers_needs_are_refused(spoil: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx", BODY, {"m": M})
    model = onnx.load(path)
    spoil(model)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=rf"m.onnx cannot be loaded: .*{SPOILED[spoil]}"):
        load(path)


@pytest.mark.parametrize("data", [b"", b"no protobuf", bytes(1000)])
def test_other_files_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(ValueError, match=r"m.onnx cannot be loaded: it is (no sound ONNX model|no ONNX file|empty)"):
        load(tmp_path / "m.onnx")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.onnx")


def test_without_the_package_onnx_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node, path = onnx.helper.make_node("GRU", ["x", "w", "r"], ["y"], hidden_size=2), write(tmp_path / "m.onnx", BODY)
    monkeypatch.setitem(sys.modules, "onnx", None)
    for call in (lambda: load(path), lambda: save(pyrnn.Linear(3, 2), path), lambda: run_node(node, [M])):
        with pytest.raises(ImportError, match=r"pip install .pyrnn-cpu\[onnx\]"):
            call()
