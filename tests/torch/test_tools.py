"""Drop-ins whose weights torch.nn.utils norms, prunes or replaces compute and train as torch.nn's modules do."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from cases import OUTPUT
from drop_ins import CELLS, LAYERS, pair, tensors_of
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from trained import F64, assert_near, call, input_of, train

import pyrnn.torch as drop_in

Change = Callable[[nn.Module, str], Any]


def recurrent_weight(name: str) -> str:
    return "weight_hh" if "Cell" in name else "weight_hh_l0"


# -- norms and pruning -------------------------------------------------------------------------------------


def remove_parametrization(module: nn.Module, name: str) -> None:
    parametrize.remove_parametrizations(module, name)


CHANGES: dict[str, tuple[Change, Change]] = {
    "weight_norm": (parametrizations.weight_norm, remove_parametrization),
    "spectral_norm": (parametrizations.spectral_norm, remove_parametrization),
    "orthogonal": (parametrizations.orthogonal, remove_parametrization),
    "old weight_norm": (nn.utils.weight_norm, nn.utils.remove_weight_norm),
    "old spectral_norm": (nn.utils.spectral_norm, nn.utils.remove_spectral_norm),
    "prune": (lambda module, name: prune.l1_unstructured(module, name, 0.4), prune.remove),
}


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.(weight|spectral)_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_changed_weights_train_as_torchs_do(name: str, change: str) -> None:
    apply, remove = CHANGES[change]
    found, removed, keys = [], [], []
    for module in pair(name, 3, 5, **F64):
        call(module, input_of(name))
        torch.manual_seed(6)
        apply(module, recurrent_weight(name))
        keys.append(list(module.state_dict()))
        found.append(train(module, name))
        remove(module.eval(), recurrent_weight(name))
        keys.append(list(module.state_dict()))
        removed.append(call(module, input_of(name)))
    with torch.no_grad():
        assert "kernels" in drop_in.explain(module, input_of(name))
    assert keys[:2] == keys[2:]
    assert_near(found[1], found[0])
    assert_near(removed[1], removed[0])
    assert_near(removed[1], found[1][: len(removed[1])])


def test_pruned_numbers_stay_zero() -> None:
    _, ours = pair("GRU", 3, 5, **F64)
    prune.l1_unstructured(ours, "weight_hh_l0", 0.4)
    train(ours, "GRU")
    prune.remove(ours, "weight_hh_l0")
    assert (ours.weight_hh_l0 == 0).sum() == round(0.4 * ours.weight_hh_l0.numel())


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_cached_parametrizations_compute_as_torchs(name: str) -> None:
    found = []
    for module in pair(name, 3, 5, **F64):
        torch.manual_seed(6)
        parametrizations.spectral_norm(module, recurrent_weight(name))
        with parametrize.cached():
            found.append([*call(module, input_of(name)), *call(module, input_of(name, 2))])
    assert_near(found[1], found[0])


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_a_copy_of_a_parametrized_module_trains_alike(name: str) -> None:
    _, ours = pair(name, 3, 5, **F64)
    parametrizations.weight_norm(ours, recurrent_weight(name))
    copied = copy.deepcopy(ours)
    assert_near(train(copied, name), train(ours, name))


# -- weights replaced --------------------------------------------------------------------------------------


def averaged(module: nn.Module, name: str) -> nn.Module:
    mean = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    for seed in range(3):
        train(module, name, 1)
        mean.update_parameters(module)
        call(mean.module, input_of(name, seed))
    module_of_means: nn.Module = mean.module
    return module_of_means


def from_vector(module: nn.Module, name: str) -> nn.Module:
    vector = nn.utils.parameters_to_vector(module.parameters())
    nn.utils.vector_to_parameters(vector * 2, module.parameters())
    return module


def doubled(module: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() * 2 for key, value in module.state_dict().items()}


def assigned(module: nn.Module, name: str) -> nn.Module:
    module.load_state_dict(doubled(module), assign=True)
    return module


def emptied(module: nn.Module, name: str) -> nn.Module:
    weights = doubled(module)
    module.to("meta").to_empty(device="cpu").load_state_dict(weights)
    return module


def made_on_meta(module: nn.Module, name: str) -> nn.Module:
    with torch.device("meta"):
        fresh: nn.Module = type(module)(3, 5, **F64)
    fresh.load_state_dict(doubled(module), assign=True)
    return fresh.requires_grad_()


def replaced(module: nn.Module, name: str) -> nn.Module:
    weight = getattr(module, recurrent_weight(name)).detach()
    delattr(module, recurrent_weight(name))
    setattr(module, recurrent_weight(name), nn.Parameter(weight * 2))
    return module


EDITS = (averaged, from_vector, assigned, emptied, made_on_meta, replaced)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: str(edit.__name__))
@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_replaced_weights_are_used(name: str, edit: Any) -> None:
    found = []
    for module in pair(name, 3, 5, **F64):
        before = call(module, input_of(name))
        edited = edit(module, name)
        outputs = call(edited, input_of(name))
        assert not torch.equal(before[0], outputs[0])
        found.append([*outputs, *train(edited, name)])
    assert_near(found[1], found[0])


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_functional_call_uses_its_weights_and_leaves_the_modules(name: str) -> None:
    found = []
    for module in pair(name, 3, 5, **F64):
        x = input_of(name)
        before = call(module, x)
        weights = {key: value.requires_grad_() for key, value in doubled(module).items()}
        outputs = list(tensors_of(torch.func.functional_call(module, weights, (x,))))
        loss = torch.stack([out.square().sum() for out in outputs]).sum()
        gradients = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True, allow_unused=True)
        assert all(map(torch.equal, call(module, x), before))
        found.append([*outputs, *gradients])
    assert_near(found[1], found[0])


@pytest.mark.parametrize("then", ["call", "convert"])
@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_a_missing_weight_fails_as_in_torch(name: str, then: str) -> None:
    found = []
    for module in pair(name, 3, 5, **F64):
        call(module, input_of(name))
        delattr(module, recurrent_weight(name))
        try:
            found.append(call(module if then == "call" else module.double(), input_of(name))[0])
        except (AttributeError, TypeError) as error:
            found.append((type(error), str(error)))
    if isinstance(found[0], Tensor):  # a layer keeps the deleted weight until it is converted
        torch.testing.assert_close(found[1], found[0], rtol=0, atol=OUTPUT[np.float64])
    else:
        assert found[1] == found[0]


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_a_bias_of_none_does_as_in_torch(name: str) -> None:
    found: list[Any] = []
    for module in pair(name, 3, 5, **F64):
        setattr(module, "bias_hh" if "Cell" in name else "bias_hh_l0", None)
        try:
            found.append(train(module, name))
        except TypeError as error:
            found.append(str(error))
    if "Cell" in name:
        assert_near(found[1], found[0])
    else:
        assert found[1] == found[0]


# -- making ------------------------------------------------------------------------------------------------


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_a_module_is_made_in_torchs_default_dtype(name: str) -> None:
    theirs, ours = pair(name, 3, 5)
    assert next(ours.parameters()).dtype is torch.float64
    assert_near(train(ours, name), train(theirs, name))


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_skip_init_makes_cells_and_refuses_layers_as_torchs(name: str) -> None:
    if "Cell" not in name:
        for namespace in (nn, drop_in):
            with pytest.raises(RuntimeError, match="Module must support a 'device' arg to skip initialization"):
                nn.utils.skip_init(getattr(namespace, name), 3, 5)
        return
    theirs, ours = pair(name, 3, 5, **F64)
    bare = nn.utils.skip_init(getattr(drop_in, name), 3, 5, **F64)
    bare.load_state_dict(theirs.state_dict())
    assert_near(train(bare, name), train(ours, name))


@pytest.mark.parametrize("name", CELLS)
def test_a_copy_of_a_parametrized_cell_after_a_call_trains_as_torchs(name: str) -> None:
    found = []
    for module in pair(name, 3, 5, **F64):
        parametrizations.weight_norm(module, recurrent_weight(name))
        train(module, name)
        found.append(train(copy.deepcopy(module), name))
    assert_near(found[1], found[0])
