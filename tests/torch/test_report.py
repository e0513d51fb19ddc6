"""The report of `accelerate` prints as a table, and says why nothing was swapped; `restore` undoes it exactly."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn

import pyrnn.torch as drop_in


class Subclass(nn.GRU):
    pass


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.LSTM(3, 5)
        self.decoder = nn.GRUCell(5, 4)
        self.own = Subclass(3, 5)
        self.own.forward = lambda x: x

    def forward(self, x: Tensor) -> Any:
        return self.decoder(self.encoder(x)[0][-1])


def printed(model: nn.Module) -> str:
    return str(drop_in.accelerate(model))


def test_a_report_prints_as_aligned_text() -> None:
    lines = printed(Tagger()).splitlines()
    assert lines[:3] == [
        "2 of 3 recurrent modules swapped:",
        "encoder  swapped  LSTM",
        "decoder  swapped  GRUCell",
    ]
    assert lines[3].startswith("own      left     ")
    assert printed(nn.GRU(3, 5)) == "1 of 1 recurrent modules swapped:\n(the model)  swapped  GRU"


def test_a_report_of_a_model_without_recurrence_says_so() -> None:
    report = drop_in.accelerate(nn.Sequential(nn.Linear(3, 5), nn.ReLU()))
    assert (report.swapped, report.left, report.already) == ({}, {}, {})
    assert str(report).startswith("Nothing was swapped: none of the model's 3 modules is one of torch's RNN, LSTM,")


def test_a_second_report_says_that_the_modules_were_swapped_before() -> None:
    model = nn.Sequential(nn.GRU(3, 5))
    drop_in.accelerate(model)
    report = drop_in.accelerate(model)
    assert report.already == {"0": "GRU"}
    assert str(report) == "None of 1 recurrent modules swapped:\n0  swapped before  GRU"


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("compile", ["script", "trace"])
def test_a_report_names_parts_compiled_by_torchscript(compile: str) -> None:
    layer = nn.GRU(3, 5)
    part = torch.jit.script(layer) if compile == "script" else torch.jit.trace(layer, torch.zeros(4, 2, 3))
    assert "0  left  it is compiled by TorchScript" in printed(nn.Sequential(part))


@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_a_report_names_quantized_layers() -> None:
    model = nn.Sequential(nn.LSTM(3, 5))
    quantized = torch.ao.quantization.quantize_dynamic(model, {nn.LSTM})
    assert "0  left  it is quantized" in printed(quantized)


@pytest.mark.filterwarnings("ignore:The tensor attributes self._flat_weights:UserWarning")
def test_a_report_names_the_operators_of_an_exported_graph() -> None:
    program = torch.export.export(nn.GRU(3, 5).eval(), (torch.zeros(4, 2, 3),), strict=False)
    assert "(the model)  left  its graph of single operators has torch.ops.aten.gru" in printed(program.module())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"device": "meta"}, "GRU; its weights are on meta: torch runs its calls until it is on the CPU"),
        ({"dtype": torch.bfloat16}, "GRU; its weights are of torch.bfloat16: torch runs its calls until they are of"),
    ],
    ids=["device", "dtype"],
)
def test_a_report_says_when_torch_will_run_the_swapped_modules(change: dict[str, Any], sentence: str) -> None:
    assert sentence in printed(nn.Sequential(nn.GRU(3, 5, **change)))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("function", [drop_in.accelerate, drop_in.restore])
def test_a_model_in_the_middle_of_a_trace_is_refused(function: Any) -> None:
    model = nn.GRU(3, 5)

    def call(x: Tensor) -> Tensor:
        function(model)
        return x + 1

    with pytest.raises(RuntimeError, match=f"{function.__name__} changes the classes of a model's modules"):
        torch.jit.trace(call, torch.zeros(1))
    assert type(model) is nn.GRU


def test_restore_gives_back_what_was_there_and_lists_it() -> None:
    model = Tagger()
    before = {name: (type(module), dict(vars(module))) for name, module in model.named_modules()}
    report = drop_in.accelerate(model)
    model(torch.zeros(4, 2, 3))
    with torch.no_grad():
        model(torch.zeros(4, 2, 3))
    assert drop_in.restore(model) == list(report.swapped)
    for name, module in model.named_modules():
        kind, attributes = before[name]
        assert type(module) is kind
        assert vars(module).keys() == attributes.keys()
        assert all(value is attributes[key] for key, value in vars(module).items())
