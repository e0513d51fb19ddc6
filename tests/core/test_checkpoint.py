"""checkpoint=k takes less memory and gives the same bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import drawn
import numpy as np
import pytest
from cases import DTYPES, Config
from drawn import CELLS, Call, same_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

import pyrnn

T = 11
EVERY = [1, 2, 3, T - 1, T, T + 5]


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("cell", CELLS)
def test_checkpoints_change_no_byte(cell: str, every: int, bidirectional: bool) -> None:
    for dtype in DTYPES:
        config = Config(cell, 3, bidirectional, dtype=dtype, T=T, B=5, I=4, H=21, P=6)
        layer = Call.draw(config).layer()
        call = Call.draw(config)
        assert same_bytes(call.vjp(layer, checkpoint=every), call.vjp(layer))


@settings(max_examples=150, deadline=None)
@given(drawn.calls(dtypes=DTYPES, sizes=20), st.integers(1, 9))
def test_checkpoints_change_no_byte_with_lengths_masks_and_resets(call: Call, every: int) -> None:
    layer = call.layer()
    assert same_bytes(call.vjp(layer, checkpoint=every), call.vjp(layer))


# More rows than a projected block (48), and than a block whose gradients are summed at once (1024).
@pytest.mark.parametrize("every", [7, 48, 100, 299])
@pytest.mark.parametrize("cell", CELLS)
def test_checkpoints_change_no_byte_over_many_steps(cell: str, every: int) -> None:
    config = Config(cell, 2, dtype=np.float32, T=300, B=6)
    call = Call.draw(config)
    call = replace(
        call,
        options={"lengths": [300, 140, 300, 299, 300, 7], "reset": np.random.default_rng(1).random((300, 6)) < 0.05},
    )
    layer = call.layer()
    assert same_bytes(call.vjp(layer, checkpoint=every), call.vjp(layer))


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("cell", CELLS)
def test_checkpoints_change_no_byte_with_dropout(cell: str, every: int) -> None:
    call = Call.draw(Config(cell, 3, True, T=T))
    plain, again = (call.layer(dropout=0.4) for _ in range(2))  # the same seed: the same masks
    assert same_bytes(call.vjp(plain, checkpoint=every), call.vjp(again))
    assert not same_bytes(call.vjp(plain), call.vjp(plain))  # the masks are drawn


@pytest.mark.parametrize("cell", CELLS)
def test_a_pullback_with_checkpoints_may_be_called_again(cell: str) -> None:
    call = Call.draw(Config(cell, 2, True, T=T))
    layer = call.layer()
    *_, pullback = layer.vjp(*call.arguments(), checkpoint=4)
    first = call.gradients(pullback)
    pullback()
    layer.load_state_dict({name: 2 * value for name, value in layer.state_dict().items()})
    assert same_bytes(call.gradients(pullback), first)


@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("cell", CELLS)
def test_checkpoints_change_no_byte_of_a_small_batch(cell: str, batch: int) -> None:
    call = Call.draw(Config(cell, 2, True, T=T, B=batch))
    layer = call.layer()
    assert same_bytes(call.vjp(layer, checkpoint=3), call.vjp(layer))


@pytest.mark.parametrize("every", [2**31 - 1, 2**31, 2**70, np.int64(3)], ids=str)
def test_checkpoint_takes_any_positive_integer(every: Any) -> None:
    config = Config("gru", 2)
    layer = config.pyrnn_layer(seed=1)
    assert same_bytes(Call.draw(config).vjp(layer, checkpoint=every), Call.draw(config).vjp(layer))


def test_a_plain_call_takes_no_checkpoint() -> None:
    layer: Any = pyrnn.GRU(3, 5)
    with pytest.raises(TypeError, match="checkpoint"):
        layer(np.zeros((4, 2, 3), np.float32), checkpoint=2)
