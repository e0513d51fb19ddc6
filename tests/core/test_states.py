"""return_states gives the cell states of all steps, and gradients flow back from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cases
import drawn
import numpy as np
import pytest
from cases import Config
from drawn import Call, assert_derivatives, same_bytes

import pyrnn

LSTMS = ("lstm", "lstm_proj")
LAYOUTS: dict[str, dict[str, Any]] = {
    "time-first": {},
    "batch-first": {"batch_first": True},
    "unbatched": {"batched": False, "B": 1},
}


def call_of(cell: str, layout: str, bidirectional: bool, **more: Any) -> Call:
    return Call.draw(Config(cell, 2, bidirectional, T=6, **(LAYOUTS[layout] | more)))


@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("cell", LSTMS)
def test_cell_states_are_those_of_the_last_layer_at_every_step(
    cell: str, layout: str, bidirectional: bool, dtype: Any
) -> None:
    call = call_of(cell, layout, bidirectional, dtype=dtype)
    layer = call.layer()
    found = call.run(layer)
    drawn.assert_result(found, call.expected(drawn.as_float64(layer.state_dict())), dtype)
    assert found.cell_states is not None
    hidden = call.config.H
    assert same_bytes(found.cell_states[-1, :, :hidden], found.state[1][2 if bidirectional else 1])
    if bidirectional:
        assert same_bytes(found.cell_states[0, :, hidden:], found.state[1][3])
    assert same_bytes(call.vjp(layer)[0], found)
    output, state = layer(*call.arguments())
    assert same_bytes((call.time_first(output), call.states_back(state)), (found.output, found.state))


@pytest.mark.parametrize("checkpoint", [None, 4])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("cell", LSTMS)
def test_gradients_of_cell_states_alone_are_those_of_the_plain_loop(
    cell: str, layout: str, bidirectional: bool, checkpoint: int | None
) -> None:
    call = call_of(cell, layout, bidirectional)
    silent = {name: np.zeros_like(call.loss[name]) for name in ("output",)}
    silent["state"] = tuple(map(np.zeros_like, call.loss["state"]))
    call = replace(call, loss=call.loss | silent)
    layer = call.layer()
    _, gradients = call.vjp(layer, checkpoint=checkpoint)
    assert_derivatives(call, layer, gradients)
    *_, pullback = layer.vjp(*call.arguments(), checkpoint=checkpoint)  # the same without return_states
    assert same_bytes(call.gradients(pullback), gradients)
    last = pullback(grad_states=call.sequence(call.loss["cell_states"]))
    assert same_bytes(last.parameters, gradients["parameters"])


@pytest.mark.parametrize("masked_output", ["zero", "hold"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", LSTMS)
def test_masked_steps_give_zero_or_hold_and_their_gradients(
    cell: str, bidirectional: bool, masked_output: str
) -> None:
    call = call_of(cell, "time-first", bidirectional)
    mask = np.random.default_rng(2).random((6, 3)) < 0.5
    mask[:2, 0] = mask[4:, 1] = False
    mask[:, 2] = False
    call = replace(call, options={"mask": mask, "masked_output": masked_output})
    layer = call.layer()
    result, gradients = call.vjp(layer)
    assert result.cell_states is not None
    left_out, hidden = result.cell_states[~mask], call.config.H
    assert bool(left_out.any()) == (masked_output == "hold")
    if masked_output == "hold":
        assert same_bytes(result.cell_states[0, 2, :hidden], call.states[1][2 if bidirectional else 1, 2])
    drawn.assert_result(result, call.expected(layer.state_dict()), np.float64)
    assert_derivatives(call, layer, gradients)


@pytest.mark.parametrize("name", ["RNN", "GRU"])
def test_only_an_lstm_has_cell_states(name: str) -> None:
    layer, x = getattr(pyrnn, name)(3, 5), np.zeros((4, 2, 3), np.float32)
    for method in (layer, layer.vjp):
        with pytest.raises(ValueError, match=f"return_states is for the LSTM's cell states; the states of a {name}"):
            method(x, return_states=True)
    *_, pullback = layer.vjp(x)
    with pytest.raises(ValueError, match="grad_states belongs to an LSTM"):
        pullback(grad_states=np.zeros((4, 2, 5), np.float32))


def test_wrong_gradients_of_cell_states_are_refused() -> None:
    *_, pullback = pyrnn.LSTM(3, 5, proj_size=2).vjp(np.zeros((4, 2, 3), np.float32), return_states=True)
    with pytest.raises(ValueError, match=r"grad_states should have the shape .*\(4, 2, 5\), got \(4, 2, 2\)"):
        pullback(grad_states=np.zeros((4, 2, 2), np.float32))
    with pytest.raises(ValueError, match=r"grad_states dtype \(float64\)"):
        pullback(grad_states=np.zeros((4, 2, 5)))
    with pytest.raises(TypeError, match="grad_states should be a NumPy array, got list"):
        pullback(grad_states=[0.0])
