"""torch.ops.pyrnn.*, torch.export, and the traceable form of the drop-ins."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from compiled import FLAGS, KEYWORDS, TWO, B, Calling, H, I, T, assert_equal, twins
from drop_ins import CELLS, LAYERS, pair, results
from torch import Tensor, nn
from torch.export import Dim
from torch.library import opcheck
from torch.nn.modules.rnn import RNNBase

import pyrnn.torch as drop_in
from pyrnn.torch import operators

FORWARD, BACKWARD = torch.ops.pyrnn.recurrence, torch.ops.pyrnn.recurrence_backward
ANY = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}


def arguments(name: str = "LSTM", options: Any = None, given: bool = False, **more: Any) -> tuple[Any, ...]:
    """Arguments of torch.ops.pyrnn.recurrence; all tensors that may require gradients do."""
    layer: Any = twins(name, **(options or {}))[1]
    x = torch.randn(T, *more.pop("batch", (B,)), I, dtype=layer.weight_ih_l0.dtype).requires_grad_()
    runs, batch, sizes = layer.num_layers * (1 + layer.bidirectional), x.shape[1:-1], (layer.proj_size or H, H)
    hx = [x.detach().new_ones(runs, *batch, n).requires_grad_() for n in sizes[: 1 + (name == "LSTM")]]
    masks = [torch.rand(T, B, runs // layer.num_layers * H, dtype=x.dtype) for _ in range(layer.num_layers - 1)]
    call = {"active": None, "reset": None, "hold": False, "all_states": False, "every": 0, **more}
    record = call.pop("record", True)
    resets = [(state * 2).detach().requires_grad_() for state in hx] if call["reset"] is not None else []
    return (x, hx if given else [], resets, layer._flat_weights, masks, *call.values(), *layer.network(), record)


CALLS: dict[str, dict[str, Any]] = {
    "lstm": {},
    "relu-unbatched": {"name": "RNN", "options": {"nonlinearity": "relu"}, "given": True, "batch": ()},
    "gru-two": {"name": "GRU", "options": {"num_layers": 2, "dtype": torch.float64}},
    "projected": {"options": {"proj_size": 2}, "given": True},
    "chosen": {"options": {"peephole": True, "bias": False, "activation": "relu"}, "active": FLAGS, "hold": True},
    "flags": {"given": True, "active": FLAGS, "reset": ~FLAGS, "all_states": True, "every": 2},
    "no-tape": {"name": "GRU", "record": False},
}


@pytest.mark.parametrize("kind", CALLS)
def test_the_operators_are_well_registered(kind: str) -> None:
    given = arguments(**CALLS[kind])
    opcheck(FORWARD.default, given)
    with torch.no_grad():
        *outputs, handle = FORWARD(*given)
    grads = [torch.randn_like(output) for output in outputs[:-1]]
    bare = torch.utils._pytree.tree_map_only(Tensor, Tensor.detach, given[:-1])
    opcheck(BACKWARD.default, (handle, [*grads, None], *bare))


@pytest.mark.parametrize("kind", ["gru-two", "flags"])
def test_derivatives_of_the_operator_agree_with_finite_differences(kind: str) -> None:
    options = {**CALLS[kind].get("options", {}), "dtype": torch.float64}
    leaves, tree = torch.utils._pytree.tree_flatten(arguments(**{**CALLS[kind], "options": options}))
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor) and leaf.requires_grad]
    assert len(places) > 4

    def call(*inputs: Tensor) -> tuple[Tensor, ...]:
        for place, tensor in zip(places, inputs, strict=True):
            leaves[place] = tensor
        return tuple(FORWARD(*torch.utils._pytree.tree_unflatten(leaves, tree))[:-1])

    inputs = [leaves[place] for place in places]
    assert torch.autograd.gradcheck(call, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(call, inputs, fast_mode=True)


@pytest.mark.parametrize("kind", ["gru-two", "flags"])
def test_backward_without_the_tape_computes_it_again(kind: str) -> None:
    given = arguments(**CALLS[kind])
    *outputs, handle = FORWARD(*given)
    grads = [torch.randn_like(output) for output in outputs]
    expected = BACKWARD(handle, grads, *given[:-1])
    for lost in (handle.clone(), handle[:0]):
        assert_equal(BACKWARD(lost, grads, *given[:-1]), expected)


def test_a_tape_lives_as_long_as_its_handle() -> None:
    gc.collect()
    assert not operators._handles
    outputs = FORWARD(*arguments())
    view = outputs[-1].view(1)
    outputs = outputs[0]
    assert len(operators._handles) == 1
    del view
    outputs.sum().backward()
    assert not operators._handles


# -- torch.export ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("masks", range(1, 5))
def test_dropout_masks_are_none_or_one_between_two_layers(layers: int, masks: int) -> None:
    *of_call, record = arguments(options={"num_layers": layers, "bidirectional": False})
    of_call[4] = [torch.ones(T, B, H)] * masks
    if masks == layers - 1:
        assert len(torch.ops.pyrnn.recurrence(*of_call, record)) >= 2
        return
    with pytest.raises((ValueError, RuntimeError), match=rf"dropout masks: expected .*, {layers - 1}, got {masks}"):
        torch.ops.pyrnn.recurrence(*of_call, record)


WRONG: dict[str, tuple[int, Any, str]] = {
    "no weights": (3, [], "weights should begin with two matrices"),
    "a vector as a weight": (3, [torch.ones(4), torch.ones(4)], "weights should begin with two matrices"),
    "a negative checkpoint": (9, -1, "every should be from 0"),
    "a checkpoint of 64 bits": (9, 2**40, "every should be from 0"),
    "no such cell": (10, "elman", "cell should be one of"),
    "too many layers": (12, 2**40, "num_layers must be at most 65535"),
    "no layers": (12, 0, "num_layers must be greater than zero"),
}


@pytest.mark.parametrize("what", WRONG)
def test_the_operator_names_a_wrong_argument(what: str) -> None:
    place, value, sentence = WRONG[what]
    given = list(arguments())
    given[place] = value
    with pytest.raises((ValueError, RuntimeError), match=sentence):
        torch.ops.pyrnn.recurrence(*given)


def count(program: Any) -> int:
    return [node.target for node in program.graph.nodes].count(FORWARD.default)


def loaded(program: Any) -> Any:
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    return torch.export.load(file)


# torch itself causes this warning when it writes a file or decomposes a program.
@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning")
@pytest.mark.parametrize("strict", [False, True], ids=["non-strict", "strict"])
@pytest.mark.parametrize("options", [{}, TWO], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_exported_layers_give_the_bits_of_plain_ones(name: str, options: Any, strict: bool) -> None:
    traceable, plain = twins(name, **options)
    given = (torch.randn(T, B, I),)
    program = torch.export.export(traceable, given, dynamic_shapes=(ANY,), strict=strict)
    for form in (program, program.run_decompositions(), loaded(program)):
        assert count(form) == 1
        for extent in ((T, B), (1, 1), (2, 11)):
            args = (torch.randn(*extent, I),)
            assert_equal(results(form.module(), args), results(plain, args))


@pytest.mark.parametrize("strict", [False, True], ids=["non-strict", "strict"])
@pytest.mark.parametrize("kind", KEYWORDS)
def test_exported_calls_with_keywords_give_the_bits_of_plain_ones(kind: str, strict: bool) -> None:
    traceable, plain = (Calling(layer, **KEYWORDS[kind]) for layer in twins("LSTM"))
    given = (torch.randn(T, B, I), *((torch.randn(1, B, H), torch.randn(1, B, H)) if kind == "reset" else ()))
    program = torch.export.export(traceable, given, strict=strict)
    assert count(program) == 1
    assert_equal(results(program.module(), given), results(plain, given))


class Masked(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor, mask: Tensor, reset: Tensor, lengths: Tensor) -> Any:
        return self.inner(x, mask=mask, reset=reset, lengths=lengths, return_states=True)


@pytest.mark.parametrize("strict", [False, True], ids=["non-strict", "strict"])
def test_exported_flags_may_have_any_size(strict: bool) -> None:
    traceable, plain = map(Masked, twins("LSTM"))
    forms = []
    for steps, batch in ((T, B), (9, 2)):
        flags = (torch.arange(steps * batch).view(steps, batch) % n > 0 for n in (2, 3))
        forms.append((torch.randn(steps, batch, I), *flags, torch.arange(batch) + 3))
    program = torch.export.export(traceable, forms[0], dynamic_shapes=(ANY, ANY, ANY, {0: Dim.DYNAMIC}), strict=strict)
    for args in forms:
        assert_equal(program.module()(*args), plain(*args))


@pytest.mark.parametrize("name", CELLS)
def test_exported_cells_are_torchs(name: str) -> None:
    theirs, ours = pair(name, I, H)
    program = torch.export.export(ours, (torch.randn(B, I),), dynamic_shapes=({0: Dim.DYNAMIC},))
    x = torch.randn(9, I)
    assert_equal(program.module()(x), theirs(x))


LOAD = """
import sys, torch
try:
    torch.export.load(sys.argv[1])
except RuntimeError:
    print("refused")
import pyrnn.torch
print(torch.export.load(sys.argv[1]).module()(torch.ones(6, 4, 3))[0].tolist())
"""


def test_a_file_needs_the_import_of_pyrnn(tmp_path: Path) -> None:
    traceable, plain = twins("GRU")
    program = torch.export.export(traceable, (torch.ones(T, B, I),))
    torch.export.save(program, tmp_path / "gru.pt2")
    command = [sys.executable, "-c", LOAD, str(tmp_path / "gru.pt2")]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout == f"refused\n{plain(torch.ones(T, B, I))[0].tolist()}\n"
    assert "If it's a custom op" in found.stderr  # torch names the operator, and what to do


# -- accelerate(traceable=True) ----------------------------------------------------------------------------


def test_accelerate_to_traceable_and_back_keeps_weights_and_outputs() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.LSTM(I, H), nn.Linear(H, H), nn.GRUCell(H, H), nn.GRU(H, H, 2, dropout=0.1), nn.RNN(H, H))
    before, parameters, state = repr(model), list(model.parameters()), list(model.state_dict())
    assert drop_in.accelerate(model, traceable=True).swapped == {"0": "LSTM", "2": "GRUCell", "3": "GRU", "4": "RNN"}
    assert [type(layer) for layer in pickle.loads(pickle.dumps(model))][::2] == [nn.LSTM, nn.GRUCell, nn.RNN]
    for form in (model, copy.deepcopy(model)):
        assert [isinstance(form[i], RNNBase) for i in (0, 3, 4)] == [True] * 3
        assert not any(isinstance(layer, (nn.RNN, nn.LSTM, nn.GRU)) for layer in form)
        assert type(form[2]) is drop_in.GRUCell
        assert (repr(form), list(form.state_dict())) == (before, state)
        args = (torch.randn(T, B, I),)
        assert_equal(results(form[0], args), results(model[0], args))
    assert not drop_in.accelerate(model, traceable=True).swapped
    assert drop_in.accelerate(model).swapped == {"0": "LSTM", "3": "GRU", "4": "RNN"}
    assert [type(model[i]) for i in (0, 3, 4)] == [drop_in.LSTM, drop_in.GRU, drop_in.RNN]
    assert drop_in.accelerate(model, traceable=True).swapped == {"0": "LSTM", "3": "GRU", "4": "RNN"}
    assert drop_in.restore(model) == ["0", "2", "3", "4"]
    assert [type(model[i]) for i in (0, 3, 4)] == [nn.LSTM, nn.GRU, nn.RNN]
    assert all(one is other for one, other in zip(model.parameters(), parameters, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", LAYERS)
def test_a_traceable_layer_outside_of_a_graph_gives_the_bits_of_a_plain_one(name: str, dtype: torch.dtype) -> None:
    traceable, plain = (layer.to(dtype) for layer in twins(name, **TWO))
    args = (torch.randn(B, T, I, dtype=dtype),)
    assert drop_in.explain(traceable, *args) == drop_in.explain(plain, *args)
    assert_equal(results(traceable, args), results(plain, args))
