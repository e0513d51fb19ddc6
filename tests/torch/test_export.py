"""Drop-ins that are scripted, exported, quantised or traced give the results of torch.nn."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import onnx
import torch
from drop_ins import CELLS, FORMS, LAYERS, pair, tensors_of
from torch import Tensor, nn
from torch.nn.utils._per_sample_grad import call_for_per_sample_grads
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from trained import F64, assert_near, input_of

import pyrnn.torch as drop_in


class Packing(nn.Module):
    """Packs padded sequences, calls the layer, and pads its output."""

    def __init__(self, rnn: nn.Module) -> None:
        super().__init__()
        self.rnn = rnn

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        return pad_packed_sequence(self.rnn(packed)[0])[0]


class Stepping(nn.Module):
    """Calls a cell on each step of a sequence."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        state = torch.zeros(x.size(1), 5, dtype=x.dtype)
        for step in range(x.size(0)):
            state = self.cell(x[step], state)
        return state


class Wrapped(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Any:
        return self.inner(x * 2)


def saved(scripted: Any) -> Any:
    file = io.BytesIO()
    torch.jit.save(scripted, file)
    file.seek(0)
    return torch.jit.load(file)


# -- TorchScript -------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", LAYERS)
def test_a_scripted_model_packs_sequences(name: str) -> None:
    args = torch.randn(6, 3, 3, **F64), torch.tensor([2, 6, 4])
    theirs, ours = (Packing(layer) for layer in pair(name, 3, 5, num_layers=2, bidirectional=True, **F64))
    expected = theirs(*args)
    assert_near([ours(*args)], [expected])
    scripted = torch.jit.script(ours)
    for model in (scripted, saved(scripted)):
        assert_near([model(*args)], [expected])


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", ["RNNCell", "GRUCell"])
def test_a_scripted_model_steps_a_cell_and_trains_it(name: str) -> None:
    x = torch.randn(6, 2, 3, **F64)
    theirs, ours = (Stepping(cell) for cell in pair(name, 3, 5, **F64))
    expected = theirs(x)
    expected.sum().backward()
    scripted = torch.jit.script(ours)
    scripted(x).sum().backward()
    assert_near([saved(scripted)(x)], [expected])
    # A scripted module shares its parameters with the original.
    assert_near([p.grad for p in ours.parameters()], [p.grad for p in theirs.parameters()])


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("name", LAYERS)
def test_a_traced_model_packs_sequences(name: str) -> None:
    theirs, ours = (Packing(layer) for layer in pair(name, 3, 5, **F64))
    args = torch.randn(6, 3, 3, **F64), torch.tensor([2, 6, 4])
    others = torch.randn(6, 3, 3, **F64), torch.tensor([6, 1, 3])
    for model in (torch.jit.trace(ours, args), saved(torch.jit.trace(ours, args))):
        assert_near([model(*others)], [theirs(*others)])


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_a_scripted_model_is_accelerated_again(name: str) -> None:
    model = Wrapped(pair(name, 3, 5, **F64)[1])
    before, expected = list(model.parameters()), list(tensors_of(model(input_of(name))))
    torch.jit.script(model)
    drop_in.accelerate(model)
    assert type(model.inner) is getattr(drop_in, name)
    assert all(one is other for one, other in zip(model.parameters(), before, strict=True))
    assert all(map(torch.equal, tensors_of(model(input_of(name))), expected))


# -- ONNX --------------------------------------------------------------------------------------------------


def graph_of(module: nn.Module, args: tuple[Any, ...], path: Path, dynamo: bool) -> Any:
    torch.onnx.export(module.eval(), args, path, dynamo=dynamo, verbose=False)
    graph = onnx.load(path).graph
    weights = sorted((tuple(weight.dims), weight.data_type) for weight in graph.initializer)
    return [node.op_type for node in graph.node], weights, len(graph.input), len(graph.output)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript-based ONNX export:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The feature will be removed:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Exporting a model to ONNX with a batch_size other than 1:UserWarning")
@pytest.mark.filterwarnings("ignore:The tensor attributes? self._flat_weights:UserWarning")
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning")
# An export with dynamo takes a second a model, so only one form is exported that way.
@pytest.mark.parametrize(("options", "dynamo"), [(FORMS[0], False), (FORMS[1], False), (FORMS[0], True)], ids=str)
@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_the_onnx_graph_is_torchs(name: str, options: dict[str, Any], dynamo: bool, tmp_path: Path) -> None:
    options = {"bias": False} if options and "Cell" in name else options
    x = input_of(name, dtype=torch.float32)
    graphs = []
    for module in pair(name, 3, 5, **options):
        module(x)
        graphs.append(graph_of(module, (x,), tmp_path / "model.onnx", dynamo))
    assert graphs[1] == graphs[0]
    assert len(graphs[0][1]) > 0


# -- quantisation and gradients of each sample -------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_dynamic_quantisation_goes_by_torchs_class(name: str) -> None:
    theirs, ours = (nn.Sequential(module) for module in pair(name, 3, 5))
    x = input_of(name, dtype=torch.float32)
    left = torch.ao.quantization.quantize_dynamic(ours)
    assert type(left[0]) is getattr(drop_in, name)
    assert all(map(torch.equal, tensors_of(left(x)), tensors_of(ours(x))))
    assert drop_in.restore(ours) == ["0"]
    quantised = [torch.ao.quantization.quantize_dynamic(model) for model in (ours, theirs)]
    assert type(quantised[0][0]) is type(quantised[1][0])
    assert all(map(torch.equal, *(tensors_of(model(x)) for model in quantised)))


@pytest.mark.parametrize("options", FORMS, ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_each_sample_are_torchs(name: str, options: dict[str, Any]) -> None:
    found = []
    for module in pair(name, 3, 5, **{**options, "batch_first": True}, **F64):
        x = torch.linspace(-1, 1, 60, **F64).reshape(4, 5, 3)
        module(x)
        call_for_per_sample_grads(module)(x)[0].square().sum().backward()
        found.append([parameter.grad_sample for parameter in module.parameters()])
        assert all(len(gradient) == 4 for gradient in found[-1])
    assert_near(found[1], found[0])


# -- torch.fx ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_an_fx_tracer_may_stop_at_drop_ins(name: str) -> None:
    class Tracer(torch.fx.Tracer):
        def is_leaf_module(self, m: nn.Module, qualified_name: str) -> bool:
            leaf: bool = isinstance(m, getattr(nn, name)) or super().is_leaf_module(m, qualified_name)
            return leaf

    model = Wrapped(pair(name, 3, 5, **F64)[1])
    graph = torch.fx.GraphModule(model, Tracer().trace(model))
    assert [node.op for node in graph.graph.nodes] == ["placeholder", "call_function", "call_module", "output"]
    assert all(map(torch.equal, tensors_of(graph(input_of(name))), tensors_of(model(input_of(name)))))


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_fx_keeps_a_drop_in_whole(name: str) -> None:
    x, graphs = input_of(name), []
    for module in pair(name, 3, 5, **F64):
        model = Wrapped(module)
        graph = torch.fx.symbolic_trace(model)
        assert all(map(torch.equal, tensors_of(graph(x)), tensors_of(model(x))))
        assert all(map(torch.equal, tensors_of(copy.deepcopy(graph)(x)), tensors_of(model(x))))
        graphs.append([(node.op, node.target) for node in graph.graph.nodes])
    assert graphs[1] == graphs[0]
