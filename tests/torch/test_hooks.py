"""Hooks, autograd's modes, and files also of older torch work on drop-ins as on torch.nn."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from drop_ins import CELLS, LAYERS, leaves, pair, tensors_of
from torch import Tensor, nn
from trained import F64, assert_near, call, input_of, train

import pyrnn.torch as drop_in


def shapes(value: Any) -> Any:
    """Replaces each tensor in a nested value by its shape."""
    if isinstance(value, Tensor):
        return tuple(value.shape)
    return [shapes(part) for part in value] if isinstance(value, (tuple, list)) else value


def state_of(name: str) -> Any:
    batch = () if "Cell" in name else (1,)
    h, c = (torch.full((*batch, 2, 5), number, dtype=torch.float64) for number in (0.3, 0.2))
    return (h, c) if "LSTM" in name else h


# -- hooks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_hooks_of_a_module_see_what_torchs_see(name: str) -> None:
    found = []
    for module in pair(name, 3, 5, **F64):
        seen: list[Any] = []
        module.register_forward_pre_hook(lambda _, args, seen=seen: seen.append(["pre", shapes(args)]))
        module.register_forward_hook(lambda _, args, out, seen=seen: seen.append(["forward", shapes((args, out))]))
        module.register_full_backward_pre_hook(lambda _, out, seen=seen: seen.append(["before", shapes(out)]))
        module.register_full_backward_hook(lambda _, into, out, seen=seen: seen.append(["back", shapes((into, out))]))
        x, state = leaves((input_of(name), state_of(name)))
        outputs = list(tensors_of(module(x, state)))
        torch.stack([out.square().sum() for out in outputs]).sum().backward()
        assert [event[0] for event in seen] == ["pre", "forward", "before", "back"]
        found.append((seen, [x.grad, *(part.grad for part in tensors_of(state))]))
    assert found[1][0] == found[0][0]
    assert_near(found[1][1], found[0][1])


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_hooks_may_change_inputs_and_gradients(name: str) -> None:
    found = []
    for module in pair(name, 3, 5, **F64):
        module.register_forward_pre_hook(lambda _, args: (args[0] * 2, *args[1:]))
        module.register_full_backward_hook(lambda _, into, out: (into[0] * 3, *into[1:]))
        next(module.parameters()).register_hook(lambda gradient: gradient * 5)
        x = input_of(name).requires_grad_()
        output = next(tensors_of(module(x)))
        output.square().sum().backward()
        weight = next(module.parameters())
        found.append([output, x.grad, weight.grad])
    assert_near(found[1], found[0])


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_hooks_of_parameters_fire_once_a_backward_pass(name: str) -> None:
    found = []
    for module in pair(name, 3, 5, **F64):
        seen: list[Any] = []
        for key, parameter in module.named_parameters():
            parameter.register_hook(lambda gradient, key=key, seen=seen: seen.append(("gradient", key)))
            parameter.register_post_accumulate_grad_hook(
                lambda weight, key=key, seen=seen: seen.append(("accumulated", key, weight.grad.clone()))
            )
        for _ in range(2):
            module.zero_grad()
            torch.stack([out.square().sum() for out in call(module, input_of(name))]).sum().backward()
        found.append(seen)
    keys = [[event[:2] for event in seen] for seen in found]
    assert sorted(keys[1]) == sorted(keys[0])  # torch promises no order of the weights within a call
    assert len(keys[1]) == 2 * 2 * 4
    gradients = [{event[1]: event[2] for event in seen if len(event) == 3} for seen in found]
    assert_near([gradients[1][key] for key in gradients[0]], list(gradients[0].values()))


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_hooks_of_state_dicts_run_as_torchs(name: str) -> None:
    def renamed(state_dict: dict[str, Any], prefix: str, new: str) -> None:
        for key in [key for key in state_dict if key.startswith(prefix)]:
            state_dict[new + key.removeprefix(prefix)] = state_dict.pop(key)

    found = []
    for module in pair(name, 3, 5, **F64):
        seen: list[str] = []
        module.register_state_dict_pre_hook(lambda *_, seen=seen: seen.append("pre"))
        module.register_state_dict_post_hook(lambda _, state_dict, *__: renamed(state_dict, "bias", "offset"))
        module.register_load_state_dict_pre_hook(lambda _, state_dict, *__: renamed(state_dict, "offset", "bias"))
        module.register_load_state_dict_post_hook(lambda *_, seen=seen: seen.append("loaded"))
        state_dict = {key: value * 2 for key, value in module.state_dict().items()}
        call(module, input_of(name))
        module.load_state_dict(state_dict)
        assert seen == ["pre", "loaded"]
        found.append((list(state_dict), call(module, input_of(name))))
    assert found[1][0] == found[0][0]
    assert any(key.startswith("offset") for key in found[1][0])
    assert_near(found[1][1], found[0][1])


# -- modes -------------------------------------------------------------------------------------------------


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_training_runs_under_deterministic_algorithms(name: str) -> None:
    theirs, ours = pair(name, 3, 5, **F64)
    assert_near(train(ours, name), train(theirs, name))


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled:UserWarning")
@pytest.mark.filterwarnings("ignore:Error detected in :UserWarning")
@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_anomaly_mode_trains_and_names_nan_gradients(name: str) -> None:
    found = []
    for module in pair(name, 3, 5, **F64):
        with torch.autograd.set_detect_anomaly(True):
            found.append(train(module, name))
            output = call(module, input_of(name))[0]
            with pytest.raises(RuntimeError, match=r"Function '\w+' returned nan values in its \d+\w\w output"):
                output.backward(torch.full_like(output, torch.nan))
    assert_near(found[1], found[0])


# -- files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_a_file_of_weights_goes_both_ways(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    modules = [getattr(namespace, name)(3, 5, **F64) for namespace in (nn, drop_in, nn)]
    for one, other in itertools.pairwise(modules):
        torch.save(one.state_dict(), tmp_path / "weights.pt")
        other.load_state_dict(torch.load(tmp_path / "weights.pt"))
        assert_near(call(other, input_of(name)), call(one, input_of(name)))
        versions = [{key: own["version"] for key, own in m.state_dict()._metadata.items()} for m in (one, other)]
        assert versions[0] == versions[1]  # a drop-in's metadata also holds the options that torch lacks


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_a_file_of_the_module_loads_where_the_class_is_allowed(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    module = getattr(drop_in, name)(3, 5, **F64)
    expected = call(module, input_of(name))
    torch.save(module, tmp_path / "module.pt")
    with torch.serialization.safe_globals([getattr(drop_in, name)]):
        loaded = torch.load(tmp_path / "module.pt")
    assert type(loaded) is type(module)
    assert all(map(torch.equal, call(loaded, input_of(name)), expected))


def before_projections(module: nn.Module) -> dict[str, Any]:
    """The state of a layer as torch 1.4 to 1.7 wrote it."""
    return {key: value for key, value in module.__getstate__().items() if key != "proj_size"}


def with_tensors_as_all_weights(module: nn.Module) -> dict[str, Any]:
    """The state of a layer as torch 0.1 wrote it."""
    state = before_projections(module)
    for key in ("_flat_weights", "_flat_weights_names", "_all_weights"):
        del state[key]
    return state | {"all_weights": module.all_weights}


def without_flat_weights(module: nn.Module) -> dict[str, Any]:
    """The state of a layer as torch 1.0 to 1.3 wrote it; torch 2.13 no longer reads it."""
    state = before_projections(module)
    del state["_flat_weights"]
    return state


OLD = (before_projections, with_tensors_as_all_weights, without_flat_weights)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "bias": False}], ids=str)
@pytest.mark.parametrize("old", OLD, ids=lambda old: str(old.__name__))
@pytest.mark.parametrize("name", LAYERS)
def test_layers_saved_by_older_torch_load_as_torchs_do(name: str, old: Any, options: dict[str, Any]) -> None:
    found: list[Any] = []
    for module in pair(name, 3, 5, **options, **F64):
        loaded = type(module).__new__(type(module))
        try:
            loaded.__setstate__(old(module))
        except AttributeError as error:
            found.append(str(error))
            continue
        assert loaded.proj_size == 0
        assert loaded._all_weights == module._all_weights
        found.append(train(loaded, name))
    if isinstance(found[0], str):
        assert found[1] == found[0]
        assert old is without_flat_weights
    else:
        assert_near(found[1], found[0])
