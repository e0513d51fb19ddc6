"""accelerate, restore and explain name arguments that are no modules, and layers that torch does not register."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

import pyrnn
import pyrnn.torch as drop_in

WRONG: dict[str, tuple[Any, str]] = {
    "a path": ("model.pt", "got a str; make the model and load the file into it"),
    "a state dict": (nn.GRU(3, 4).state_dict(), "got a OrderedDict; a state dict is loaded by"),
    "a dict": ({"rnn": nn.GRU(3, 4)}, r"got a dict; .*nn\.ModuleDict"),
    "a list": ([nn.GRU(3, 4)], r"got a list; put modules in an nn\.ModuleList"),
    "nothing": (None, "got NoneType"),
    "a class": (nn.LSTM, r"got the class LSTM; make one, as in LSTM\(\.\.\.\)"),
    "a tensor": (torch.zeros(3), r"got torch\.Tensor"),
    "a layer of NumPy": (pyrnn.GRU(3, 4), r"got pyrnn\.core\.layers\.GRU"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize(
    "function", [drop_in.accelerate, drop_in.restore, lambda module: drop_in.explain(module, torch.zeros(2, 1, 3))]
)
def test_what_is_no_module_is_named(function: Any, name: str) -> None:
    given, words = WRONG[name]
    with pytest.raises(TypeError, match=f"takes a torch module, {words}"):
        function(given)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_scripted_module_is_refused_and_within_a_model_left() -> None:
    scripted = torch.jit.script(nn.LSTM(3, 4))
    with pytest.raises(TypeError, match=r"RecursiveScriptModule: it is compiled by TorchScript; accelerate .* before"):
        drop_in.accelerate(scripted)
    report = drop_in.accelerate(nn.Sequential(nn.GRU(3, 3), scripted))
    assert report.swapped == {"0": "GRU"}
    assert report.left["1"].startswith("it is compiled by TorchScript")


def test_layers_that_torch_does_not_register_are_reported_as_left() -> None:
    class Lists(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.known = nn.GRU(3, 4)
            self.again = [self.known]
            self.layers = [nn.GRU(3, 4), nn.Sequential(nn.Linear(4, 4), nn.LSTM(4, 4))]
            self.cells = {"first": {"inner": (nn.GRUCell(3, 4),)}, "self": None}
            self.cells["self"] = self.cells

    report = drop_in.accelerate(nn.ModuleDict({"net": Lists()}))
    assert report.swapped == {"net.known": "GRU"}
    assert set(report.left) == {"net.layers[0]", "net.layers[1].1", "net.cells['first']['inner'][0]"}
    assert all("torch does not register; use nn.ModuleList" in reason for reason in report.left.values())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", ["LSTM", "GRU", "LSTMCell", "GRUCell", "RNNCell"])
def test_quantize_dynamic_makes_restored_layers_int8_as_the_documentation_of_accelerate_says(name: str) -> None:
    from torch.ao.quantization import quantize_dynamic

    model = nn.Sequential(getattr(nn, name)(3, 4))
    drop_in.accelerate(model)
    assert type(quantize_dynamic(model)[0]) is getattr(drop_in, name)
    drop_in.restore(model)
    assert type(quantize_dynamic(model)[0]).__module__.startswith("torch.ao.nn.quantized.dynamic")
    assert "quantize_dynamic" in str(drop_in.accelerate.__doc__)
