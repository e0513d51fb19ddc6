"""Damaged, strange and hostile ONNX models are loaded, or refused by a short ValueError that names the fault."""

from __future__ import annotations

import contextlib
import itertools
import random
import re
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx_models import BODY, Edit, M, edited, weights, write
from onnx_refusals import CONSTANTS, REFUSED

import pyrnn
from pyrnn.io.onnx import load
from pyrnn.io.onnx.views import PRIMES

node = helper.make_node


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(ValueError, match="cannot be loaded") as caught:
        load(path, **options)
    text = str(caught.value).removeprefix(f"{path} cannot be loaded: ")
    assert len(text) < 500
    assert text.isascii()
    assert text.isprintable()
    return text


READERS = {
    "read first": "(float[b,3] x) => (float[b,3] y) { y = Mul(m, x) }",
    "through constants": "(float[b,3] x) => (float[b,2] y) { t = Transpose(m) u = Transpose(t) y = MatMul(x, u) }",
    "of a layer": BODY,
    "of a GRU": "(float[t,b,3] x) => (float y) { y = GRU<hidden_size = 2>(x, m, m) }",
}
KNOWN = (TensorProto.BFLOAT16, TensorProto.FLOAT8E5M2, TensorProto.INT4, TensorProto.COMPLEX64, TensorProto.STRING)


@pytest.mark.parametrize("number", [0, 99, -1, 2**31 - 1, *KNOWN])
@pytest.mark.parametrize("reader", READERS)
def test_a_foreign_data_type_is_named_with_its_tensor(reader: str, number: int, tmp_path: Path) -> None:
    def edit(model: Any) -> None:
        tensor = model.graph.initializer[0]
        if number in KNOWN and number != TensorProto.STRING:
            tensor.raw_data = bytes(8 * 6)
        tensor.data_type = number

    text = refusal(edited(tmp_path / "m.onnx", edit, READERS[reader]))
    assert re.search(r'"m"|tensor name: m|node "\w"', text)
    assert number in KNOWN or "UNDEFINED" in text or f"is of data_type {number}, which ONNX does not have" in text


@pytest.mark.parametrize("number", [0, 99, -1, TensorProto.STRING, TensorProto.BFLOAT16])
@pytest.mark.parametrize("body", ["{ y = Cast<to = 1>(x) }", "{ c = Cast<to = 1>(m) y = MatMul(x, c) }"])
def test_a_cast_to_a_foreign_data_type_is_refused(body: str, number: int, tmp_path: Path) -> None:
    def edit(model: Any) -> None:
        model.graph.node[0].attribute[0].i = number

    assert " node " in refusal(edited(tmp_path / "m.onnx", edit, "(float[b,3] x) => (float y) " + body))


AXES = {"Unsqueeze": 4, "Squeeze": 3, "ReduceMean": 3, "ReduceMax": 3}  # the axes to choose from if the input has 3


@pytest.mark.parametrize("opset", [11, 18])
@pytest.mark.parametrize("op", AXES)
def test_axes_that_repeat_or_are_not_there_are_refused(op: str, opset: int, tmp_path: Path) -> None:
    by_input = opset >= 18  # older opsets have the axes in an attribute
    for axes in ([0, 0], [1, 1], [1, 1 - AXES[op] - (op == "Unsqueeze")], [5], [7, 0], [-9], [2**62], list(range(99))):
        given = "(x, a)" if by_input else f"<axes = {axes}>(x)"
        arrays = {"a": np.int64(axes)} if by_input else {}
        body = f"(float[t,b,3] x) => (float y) {{ y = {op}{given} }}"
        text = refusal(write(tmp_path / "m.onnx", body, arrays, opset))
        assert text.startswith(f'the {op} node "y" has ax')


UNFIT = {
    "MatMul": ("(float[T,N,3] x) => (float y) { y = MatMul(x, four) }", "(T, N, 3)"),
    "free names": ("(float[T,?,3] x) => (float y) { y = MatMul(x, four) }", "(T, free, 3)"),
    "Gemm": ("(float[N,3] x) => (float y) { y = Gemm(x, four) }", "(N, 3)"),
    "Conv": ("(float[N,3,L] x) => (float y) { y = Conv(x, kernel) }", "(N, 3, L)"),
    "Reshape": ("(float[T,N,3] x) => (float y) { y = Reshape(x, five) }", "to (5, -1) mixes the numbers of axes (T"),
    "Reshape by its shape": (
        "(float[T,N,3] x) => (float y) { s = Shape(x) p = Gather(s, order) y = Reshape(x, p) }", "(3, free, free)"),
    "Gather": ("(float[T,N,3] x) => (float y) { y = Gather<axis = 2>(x, far) }", "element 9 of axis 2 of (T, N, 3)"),
    "Slice": ("(float[T,N,3] x) => (float y) { y = Slice(x, one, two, one) }", "axis 1 of (T, N, 3)"),
    "Slice by its shape": (
        "(float[T,N,3] x) => (float y) { s = Shape<start = 1, end = 2>(x) y = Slice(x, one, s, one) }", "axis 1 of"),
    "LayerNorm": ("(float[T,N,3] x) => (float y) { y = LayerNormalization(x, vector) }", "the axes (3)"),
    "GRU": ("(float[T,N,4] x) => (float y) { y = GRU(x, w, r) }", "(T, N, 4)"),
    "Expand": (
        "(float[T,N,3] x) => (float y) { s = Shape(x) e = Expand(h, s) y = GRU(x, w, r, , , e) }", 'Expand node "e"'),
    "Concat of shapes": (
        "(float[T,N,3] x) => (float y) { s = Shape(x) e = Expand(vector, s) y = Add(x, e) }", 'Expand node "e"'),
    "a product of axes": (
        "(float[T,N,3] x) => (float y) { f = Reshape(x, flat) y = MatMul(f, four) }", "(T * N, 3)"),
}  # fmt: skip
SHARED: dict[str, Any] = {
    "four": np.ones((4, 2), np.float32),
    "kernel": np.ones((2, 4, 3), np.float32),
    "five": np.int64([5, -1]),
    "flat": np.int64([-1, 3]),
    "order": np.int64([2, 0, 1]),
    "far": np.int64(9),
    "one": np.int64([1]),
    "two": np.int64([2]),
    "vector": np.ones(4, np.float32),
    "h": np.ones((4, 1, 5), np.float32),
    **{name: weights(3)[name] for name in "wr"},
}


@pytest.mark.parametrize("case", UNFIT)
def test_axes_are_called_by_their_names_and_never_by_sizes_that_pyrnn_made_up(case: str, tmp_path: Path) -> None:
    body, sentence = UNFIT[case]
    text = refusal(write(tmp_path / "m.onnx", body, SHARED))
    assert sentence in text
    assert not any(int(number) % prime == 0 for number in re.findall(r"[1-9]\d*", text) for prime in PRIMES)


def forget_shapes(model: Any) -> None:
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        value.type.tensor_type.ClearField("shape")


def forget_output(model: Any) -> None:
    model.graph.output[0].ClearField("type")


SHAPELESS = {
    "GRU": ("{ a = GRU<hidden_size = 5>(x, w, r) y = Squeeze(a, one) }", (6, 2, 3)),
    "MatMul": ("{ a = MatMul(x, m) y = Relu(a) }", (4, 3)),
    "Gemm": ("{ y = Gemm(x, m) }", (4, 3)),
    "Conv over time": ("{ y = Conv(x, kernel) }", (2, 4, 8)),
    "Conv over pictures": ("{ a = Conv(x, square) y = Relu(a) }", (2, 3, 8, 8)),
    "LayerNormalization": ("{ y = LayerNormalization(x, vector) }", (2, 5, 4)),
    "BatchNormalization": ("{ y = BatchNormalization(x, vector, vector, vector, vector) }", (2, 4, 5)),
}


@pytest.mark.parametrize("forget", [forget_shapes, forget_output])
@pytest.mark.parametrize("case", SHAPELESS)
def test_models_without_shapes_give_what_onnxruntime_gives(case: str, forget: Edit, tmp_path: Path) -> None:
    body, shape = SHAPELESS[case]
    arrays = {**SHARED, "m": M, "square": np.ones((2, 3, 3, 3), np.float32)}
    dims = ",".join("abcd"[: len(shape)])
    path = edited(tmp_path / "m.onnx", forget, f"(float[{dims}] x) => (float y) {body}", arrays)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    [expected] = onnxruntime.InferenceSession(path).run(None, {"x": x})
    found = load(path)(x)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_memory_is_bounded_over_all_layers_and_the_limit_can_be_raised(tmp_path: Path) -> None:
    names = ["x", *(f"y{i}" for i in range(200)), "y"]
    body = " ".join(f"{new} = MatMul({old}, m)" for old, new in itertools.pairwise(names))
    wide = np.ones((200, 200), np.float32)  # 201 layers share these 160 kB
    path = write(tmp_path / "m.onnx", f"(float[b,200] x) => (float y) {{ {body} }}", {"m": wide})
    assert "larger than the file" in refusal(path)
    assert len(load(path, limit=2**26)) == 201
    assert len(pyrnn.load(path, limit=2**26)) == 201  # type: ignore[arg-type]
    fill = "(float[b,3] x) => (float y) { big = ConstantOfShape(n) y = MatMul(x, big) }"
    bomb = write(tmp_path / "b.onnx", fill, {"n": np.int64([3, 3 * 10**6])})
    assert "would take 72000256 bytes" in refusal(bomb)
    assert load(bomb, limit=2**29)[0].weight.shape == (3 * 10**6, 3)


@pytest.mark.parametrize("op", ["Relu", "Identity", "Transpose"])
def test_a_million_nodes_are_refused_at_once(op: str, tmp_path: Path) -> None:
    nodes = [node(op, [f"x{i}"], [f"x{i + 1}"]) for i in range(10**5)]
    x, y = (helper.make_tensor_value_info(f"x{i}", 1, ["b", 3]) for i in (0, 10**5))
    (tmp_path / "m.onnx").write_bytes(helper.make_model(helper.make_graph(nodes, "g", [x], [y])).SerializeToString())
    began = time.monotonic()
    assert "it has 100000 nodes" in refusal(tmp_path / "m.onnx")
    assert time.monotonic() - began < 5


def named(name: str) -> Edit:
    def edit(model: Any) -> None:
        model.graph.node[0].name, model.graph.node[0].domain = name, "foreign"

    return edit


@pytest.mark.parametrize("name", ["a" * 10**6, "\x1b[31m", "line\nline", "\u202eabc", "snow ☃", ""])
def test_names_are_short_and_printable(name: str, tmp_path: Path) -> None:
    assert refusal(edited(tmp_path / "m.onnx", named(name))).startswith("the MatMul node ")


@pytest.mark.parametrize("text", [b"\xed\xa0\x80", b"\xff\xfe\xfd"])
def test_names_that_are_no_text_are_refused_or_escaped(text: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx", "(float[b,3] x) => (float QQQ) { QQQ = Erf(x) }")
    path.write_bytes(path.read_bytes().replace(b"QQQ", text))
    refusal(path)


def number_of(model: Any, value: int) -> None:
    model.ir_version = value


STRANGE: dict[str, Edit] = {
    "a cycle": lambda model: model.graph.node[0].input.__setitem__(0, "y"),
    "a missing input": lambda model: model.graph.node[0].input.pop(),
    "an unknown input": lambda model: model.graph.node[0].input.__setitem__(0, "q"),
    "no input": lambda model: model.graph.node[0].ClearField("input"),
    "two values of one name": lambda model: model.graph.node.append(node("Relu", ["x"], ["y"])),
    "two initializers of one name": lambda model: model.graph.initializer.append(model.graph.initializer[0]),
    "no opset": lambda model: model.ClearField("opset_import"),
    "ir_version 0": lambda model: number_of(model, 0),
    "ir_version 1e9": lambda model: number_of(model, 10**9),
    "no graph": lambda model: model.ClearField("graph"),
    "no output": lambda model: model.graph.ClearField("output"),
    "negative axes": lambda model: model.graph.initializer[0].dims.__setitem__(0, -3),
    "axes whose product overflows": lambda model: model.graph.initializer[0].dims.extend([2**40, 2**40]),
    "seventy axes": lambda model: model.graph.initializer[0].dims.extend([1] * 70),
    "a short array": lambda model: setattr(model.graph.initializer[0], "raw_data", bytes(7)),
    "a long array": lambda model: setattr(model.graph.initializer[0], "raw_data", bytes(700)),
    "an attribute of a wrong type": lambda model: model.graph.node[0].attribute.append(
        helper.make_attribute("axis", "text")
    ),
    "an input of seventy axes": lambda model: [
        model.graph.input[0].type.tensor_type.shape.dim.add() for _ in range(70)
    ],
}


@pytest.mark.parametrize("case", STRANGE)
def test_strange_models_are_refused(case: str, tmp_path: Path) -> None:
    refusal(edited(tmp_path / "m.onnx", STRANGE[case]))


ODD = (0, 1, -1, 2, 5, 63, 99, 2**31 - 1, 2**31, 2**62, 2**63 - 1, -(2**63))


def mutated(draw: random.Random, data: bytes) -> bytes:
    """Changes one number, name, node or byte of a model."""
    model = onnx.ModelProto()
    model.ParseFromString(data)
    graph = model.graph
    one, names = draw.choice(graph.node), [*(tensor.name for tensor in graph.initializer), "x", "y", ""]
    tensor = draw.choice(graph.initializer) if graph.initializer else TensorProto()
    match draw.randrange(7):
        case 0 if one.input:
            one.input[draw.randrange(len(one.input))] = draw.choice(names)
        case 1 if one.attribute:
            attribute = draw.choice(one.attribute)
            attribute.i = draw.choice(ODD)
            attribute.ints[:] = [draw.choice([*ODD, number]) for number in attribute.ints]
        case 2:
            one.op_type = draw.choice(
                [other.op_type for other in graph.node] + ["Squeeze", "Reshape", "Gather", "GRU"]
            )
        case 3 if tensor.dims:
            tensor.dims[draw.randrange(len(tensor.dims))] = draw.choice(ODD)
        case 4 if tensor.data_type == TensorProto.INT64 and tensor.raw_data:
            tensor.raw_data = np.array([draw.choice(ODD)] * (len(tensor.raw_data) // 8), "<i8").tobytes()
        case 5 if one.attribute:
            del one.attribute[draw.randrange(len(one.attribute))]
        case _:
            place = draw.randrange(len(data))
            return data[:place] + bytes([draw.randrange(256)]) + data[place + draw.randrange(9) :]
    return model.SerializeToString()


def test_a_mutated_model_is_loaded_or_refused_with_a_sentence(tmp_path: Path) -> None:
    seeds = [write(tmp_path / "m.onnx", body, CONSTANTS).read_bytes() for body, _ in REFUSED.values()]
    seeds += [write(tmp_path / "m.onnx", body, SHARED).read_bytes() for body, _ in UNFIT.values()]
    draw, path = random.Random(0), tmp_path / "m.onnx"
    for _ in range(300):
        path.write_bytes(mutated(draw, draw.choice(seeds)))
        sentence = ""
        with contextlib.suppress(ValueError):
            try:
                load(path)
            except ValueError as error:
                sentence = str(error)
                raise
        assert len(sentence) < 700
        assert "local variable" not in sentence
