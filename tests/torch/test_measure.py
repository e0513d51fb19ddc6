"""`measure` compares a model on torch's modules and on the drop-ins, and leaves it as it was."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

import pyrnn.torch as drop_in


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.LSTM(8, 16, 2, dropout=0.2)
        self.norm = nn.BatchNorm1d(16)
        self.cell = nn.GRUCell(16, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor, scale: float = 1.0) -> dict[str, Any]:
        y, _ = self.encoder(x)
        return {"scores": self.head(self.cell(self.norm(y[-1]))) * scale, "best": y.argmax(-1)}


@dataclasses.dataclass(slots=True)
class Tagged:
    scores: Tensor


class Stateful(nn.Module):
    """Goes on with the state of the call before, under autocast."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.gru = nn.Embedding(9, 3, sparse=True), nn.GRU(3, 5)
        self.h: Tensor | None = None

    def forward(self, words: Tensor) -> Tagged:
        with torch.autocast("cpu"):
            y, h = self.gru(self.table(words).bfloat16(), self.h)
        self.h = h.detach()
        return Tagged(y)


class BrokenBy(nn.Module):
    """Returns NaN where `kind` runs."""

    def __init__(self, *kinds: type) -> None:
        super().__init__()
        self.gru, self.kinds = nn.GRU(3, 5), kinds

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.gru(x)[0]
        return y * math.nan if type(self.gru) in self.kinds else y


def measure(model: nn.Module, *inputs: Any, **keywords: Any) -> drop_in.Measurement:
    return drop_in.measure(model, *inputs, seconds=0.01, **keywords)


def test_times_shares_differences_and_calls_are_measured() -> None:
    found = measure(Tagger(), torch.randn(7, 4, 8), scale=2.0)
    for timing in (found.inference, found.training):
        assert timing is not None
        assert timing.ratio == timing.torch / timing.pyrnn > 0
        assert 0 < timing.torch_share <= 1
        assert 0 < timing.pyrnn_share <= 1
    assert found.outputs < 1e-5
    assert found.gradients is not None
    assert found.gradients < 1e-4
    assert found.calls.torch == {}
    assert found.report.swapped == {"encoder": "LSTM", "cell": "GRUCell"}


def test_a_measurement_prints_as_a_table() -> None:
    lines = str(measure(Tagger(), torch.randn(7, 4, 8))).splitlines()
    assert lines[0].split() == ["torch", "pyrnn", "ratio", "recurrence:", "torch", "pyrnn"]
    assert [line.split()[0] for line in lines[1:3]] == ["inference", "training"]
    assert lines[3].startswith("largest difference of outputs ")
    assert lines[4:6] == ["calls of the drop-ins:", "4  pyrnn's kernels"]
    assert lines[6:] == ["2 of 2 recurrent modules swapped:", "encoder  swapped  LSTM", "cell     swapped  GRUCell"]


@pytest.mark.parametrize("accelerated", [False, True])
def test_the_model_its_gradients_and_torchs_random_numbers_stay(accelerated: bool) -> None:
    model, x = Tagger().eval(), torch.randn(7, 4, 8, requires_grad=True)
    if accelerated:
        drop_in.accelerate(model)
    kinds = [type(module) for module in model.modules()]
    state = {key: value.clone() for key, value in model.state_dict().items()}
    random = torch.get_rng_state()
    measure(model, x)
    assert torch.equal(torch.get_rng_state(), random)
    assert [type(module) for module in model.modules()] == kinds
    assert not any(module.training for module in model.modules())
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert x.grad is None
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_without_gradients_is_measured_in_inference_alone() -> None:
    found = measure(nn.GRU(3, 5).requires_grad_(False), torch.zeros(4, 2, 3))
    assert (found.training, found.gradients) == (None, None)
    assert "training" not in str(found)


def test_a_packed_sequence_is_measured() -> None:
    found = measure(nn.GRU(3, 5), pack_sequence([torch.randn(4, 3), torch.randn(2, 3)]))
    assert found.outputs < 1e-5
    assert found.gradients is not None
    assert found.gradients < 1e-4


def test_calls_that_torch_ran_are_told_with_their_reason() -> None:
    found = measure(nn.GRU(3, 5).bfloat16(), torch.zeros(4, 2, 3).bfloat16())
    assert found.calls.kernels == 0
    assert "the weights are of torch.bfloat16" in str(found)


def test_wrong_arguments_raise_a_sentence() -> None:
    with pytest.raises(TypeError, match="measure takes a torch module, got a dict"):
        drop_in.measure({"a": 1})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="seconds should be a finite number above 0, got -1"):
        drop_in.measure(nn.GRU(3, 5), torch.zeros(4, 2, 3), seconds=-1)
    with pytest.raises(ValueError, match="seconds should be a finite number above 0, got inf"):
        drop_in.measure(nn.GRU(3, 5), torch.zeros(4, 2, 3), seconds=math.inf)
    with pytest.raises(TypeError, match="returned no floating-point tensor"):
        measure(nn.Flatten(), torch.zeros(4, 2, dtype=torch.int64))
    model = nn.Linear(3, 5)
    model.extra = model.weight * 2  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"copy.deepcopy\(model\) says: Only Tensors created explicitly"):
        measure(model, torch.zeros(4, 3))


def test_a_model_with_state_sparse_gradients_and_autocast_is_measured() -> None:
    found = measure(Stateful(), torch.randint(9, (4, 2)))
    assert found.outputs < 0.02
    assert found.gradients is not None
    assert found.gradients < 0.02


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_training_is_measured_where_gradients_are_off(mode: Any) -> None:
    with mode():
        found = measure(nn.GRU(3, 5), torch.randn(4, 2, 3))
    assert found.gradients is not None
    assert found.gradients < 1e-4


def test_nan_of_one_of_both_is_a_difference() -> None:
    assert math.isnan(measure(BrokenBy(drop_in.GRU), torch.zeros(4, 2, 3)).outputs)
    assert math.isnan(measure(BrokenBy(nn.GRU), torch.zeros(4, 2, 3)).outputs)
    assert measure(BrokenBy(nn.GRU, drop_in.GRU), torch.zeros(4, 2, 3)).outputs == 0
