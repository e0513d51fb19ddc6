"""The bit contract: outputs, states and gradients are equal to the last bit for every instruction set, number of
threads, cut of a batch or of a sequence, memory layout and floating-point mode of the caller."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import DTYPES, Array, Config
from hypothesis import given, settings
from hypothesis import strategies as st

import pyrnn
from pyrnn import _core

ISAS = _core.available_isas()
CELLS = ("rnn_tanh", "rnn_relu", "lstm", "lstm_proj", "gru", "gru_reset_before")
Results = dict[str, Array]

CONFIGS = st.builds(
    Config,
    cell=st.sampled_from(CELLS),
    layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    bias=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    given=st.booleans(),
    T=st.integers(1, 20),
    B=st.integers(0, 9),
    I=st.integers(1, 40),
    H=st.integers(2, 70),
    P=st.just(1),
).flatmap(lambda config: st.integers(1, config.H - 1).map(lambda width: replace(config, P=width)))
# Inputs are of ordinary size, or saturate the gates, or lie around the limit under which a state is set to zero.
SCALES = st.sampled_from([1.0, 64.0, 2.0**-98])
bits = settings(max_examples=150, deadline=None)


@dataclass(frozen=True)
class Call:
    """A layer's parameters and one call of it, time first."""

    spec: _core.Spec
    parameters: list[Array]
    x: Array
    states: list[Array]
    masks: list[Array]
    dy: Array
    dstates: list[Array]

    @classmethod
    def draw(cls, config: Config, scale: float = 1.0, seed: int = 0) -> Call:
        rng = np.random.default_rng(seed)
        proj = config.P if config.cell == "lstm_proj" else 0
        spec = _core.Spec.make(
            config.equations, config.I, config.H, config.layers, config.bidirectional, config.bias, proj
        )
        bound = config.H**-0.5
        parameters = [rng.uniform(-bound, bound, shape).astype(config.dtype) for _, shape in spec.parameters]
        dy = config.draw_output_gradient(rng)
        return cls(
            spec,
            parameters,
            x=scaled(config.draw_input(rng), scale),
            states=list(config.draw_states(rng)) if config.given else [],
            masks=[(rng.random(dy.shape) < 0.7).astype(config.dtype) / 0.7 for _ in range(config.layers - 1)],
            dy=dy,
            dstates=list(config.draw_states(rng)),
        )

    def rows(self, first: int, last: int) -> Call:
        """Some rows of the batch, alone."""

        def cut(arrays: list[Array]) -> list[Array]:
            return [a[:, first:last] for a in arrays]

        (x, dy), states, masks, dstates = map(cut, ([self.x, self.dy], self.states, self.masks, self.dstates))
        return replace(self, x=x, dy=dy, states=states, masks=masks, dstates=dstates)

    def run(self, isa: str | None = None, batch_first: bool = False) -> Results:
        """Everything the call computes, outputs time first."""
        weights = _core.Weights.pack(self.spec, self.parameters, isa)
        x, dy = (np.ascontiguousarray(a.swapaxes(0, 1)) if batch_first else a for a in (self.x, self.dy))
        y, state, _, tape = weights.run(x, self.states, batch_first, self.masks, True)
        y_only, state_only, _, _ = weights.run(x, self.states, batch_first, self.masks, False)
        dx, dstate, dparameters, _, _ = tape.backward(dy, list(self.dstates))
        if batch_first:
            y, y_only, dx = (a.swapaxes(0, 1) for a in (y, y_only, dx))
        named = {f"grad_{name}": g for (name, _), g in zip(self.spec.parameters, dparameters, strict=True)}
        states = {f"state{i}": a for i, a in enumerate([*state, *state_only])}
        return {"y": y, "y_only": y_only, **states, "dx": dx, "dh": dstate[0], "dc": dstate[-1], **named}


def as_bits(a: Array) -> bytes:
    """The bytes of an array, all NaN as one: their sign and payload depend on the CPU."""
    return np.where(np.isnan(a), a.dtype.type(np.nan), a).tobytes()


def scaled(a: Array, factor: float) -> Array:
    found: Array = a * a.dtype.type(factor)
    return found


def assert_same_bits(actual: Results, expected: Results) -> None:
    assert actual.keys() == expected.keys()
    assert [name for name in expected if as_bits(actual[name]) != as_bits(expected[name])] == []


def of_each_row(results: Results) -> Results:
    """The results that are not summed over the batch, whose axis is 1 in all of them."""
    return {name: a for name, a in results.items() if not name.startswith("grad_")}


@pytest.fixture
def threads() -> Iterator[None]:
    before = pyrnn.get_num_threads()
    yield
    pyrnn.set_num_threads(before)


@bits
@given(CONFIGS, SCALES)
def test_every_instruction_set_gives_the_scalar_bits(config: Config, scale: float) -> None:
    call = Call.draw(config, scale)
    expected = call.run("scalar")
    assert_same_bits({"y": expected["y"]}, {"y": expected["y_only"]})
    for isa in ISAS[1:]:
        assert_same_bits(call.run(isa), expected)


@bits
@given(CONFIGS, SCALES)
def test_batch_first_gives_the_bits_of_time_first(config: Config, scale: float) -> None:
    call = Call.draw(config, scale)
    assert_same_bits(call.run(batch_first=True), call.run())


@bits
@given(CONFIGS.filter(lambda config: config.B > 0), SCALES, st.data())
def test_every_cut_of_a_batch_gives_the_bits_of_the_whole(config: Config, scale: float, data: st.DataObject) -> None:
    call = Call.draw(config, scale)
    whole = of_each_row(call.run())
    cut = data.draw(st.integers(0, config.B))
    for first, last in [(0, cut), (cut, config.B), (config.B - 1, config.B)]:
        assert_same_bits(of_each_row(call.rows(first, last).run()), {k: a[:, first:last] for k, a in whole.items()})


@bits
@given(CONFIGS.map(lambda config: replace(config, bidirectional=False, T=max(config.T, 2))), SCALES, st.data())
def test_a_sequence_cut_into_two_calls_gives_the_bits_of_one(
    config: Config, scale: float, data: st.DataObject
) -> None:
    call = Call.draw(config, scale)
    cut = data.draw(st.integers(1, config.T - 1))
    weights = _core.Weights.pack(call.spec, call.parameters)
    y, state, _, _ = weights.run(call.x, call.states, False, [], False)
    y_a, state_a, _, _ = weights.run(call.x[:cut], call.states, False, [], False)
    y_b, state_b, _, _ = weights.run(call.x[cut:], state_a, False, [], False)
    assert as_bits(np.concatenate([y_a, y_b])) == as_bits(y)
    assert [as_bits(a) for a in state_b] == [as_bits(a) for a in state]


# The smallest of these, an RNN of one direction, has 22e6 multiply-adds a layer: by one_thread_work in
# threads/parallel.h that is work for four threads, and each has enough rows.
def many_rows(cell: str, bidirectional: bool, dtype: Any) -> Config:
    return Config(cell, layers=2, bidirectional=bidirectional, dtype=dtype, T=80, B=33, I=48, H=70, P=40)


# A forked child begins with a single thread and makes its own pool.
THREADS_MADE = """
import os
from test_bits import *
def made(config):
    call, counts = Call.draw(config), []
    for threads in (1, 2, 3, 4):
        pyrnn.set_num_threads(threads)
        call.run()
        counts.append(len(os.listdir("/proc/self/task")))
    return counts
for cell in CELLS:
    for bidirectional in (False, True):
        for dtype in DTYPES:
            if os.fork() == 0:
                print(cell, bidirectional, *made(many_rows(cell, bidirectional, dtype)), flush=True)
                os._exit(0)
            os.wait()
"""


def test_calls_on_many_rows_start_as_many_threads_as_are_set() -> None:
    here = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": f"{here}{os.pathsep}{here.parent / 'helpers'}"}
    command = [sys.executable, "-c", THREADS_MADE]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(made) == 2 * 2 * len(CELLS)
    assert [line for line in made if not line.endswith(" 1 2 3 4")] == []


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("cell", CELLS)
def test_any_number_of_threads_gives_the_bits_of_one(cell: str, bidirectional: bool, dtype: Any) -> None:
    call = Call.draw(many_rows(cell, bidirectional, dtype))
    pyrnn.set_num_threads(1)
    alone = call.run()
    for count in (2, 3, 4):
        pyrnn.set_num_threads(count)
        assert_same_bits(call.run(), alone)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("dtype", "limit"), [(np.float32, 2.0**-100), (np.float64, 2.0**-900)])
@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "lstm_proj"])
def test_a_decaying_state_is_never_subnormal(cell: str, dtype: Any, limit: float, isa: str) -> None:
    spec = _core.Spec.make(cell, 1, 9, bias=False)
    parameters = [np.zeros(shape, dtype) for _, shape in spec.parameters]
    if cell.startswith("rnn"):
        parameters[1] = np.eye(9, dtype=dtype) / 2  # the other cells forget half of their state when all sums are 0
    states = [np.ones((1, 2, 9), dtype)] * (2 if cell == "lstm" else 1)
    y, state, _, _ = _core.Weights.pack(spec, parameters, isa).run(
        np.zeros((950, 2, 1), dtype), states, False, [], False
    )
    left = y[y != 0]
    assert limit <= left.min() < 2 * limit
    assert not y[-1].any()
    assert not any(part.any() for part in state)


# First the sums are subnormal and the gradients so large that this shows; then the gradients become subnormal.
@pytest.mark.parametrize(("scale", "weight", "gradient"), [(1e-39, 1, 1e30), (1, 1e-10, 1e-29)])
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.torch
def test_the_callers_flush_mode_changes_no_bit_and_is_left_as_it_was(
    cell: str, isa: str, scale: float, weight: float, gradient: float
) -> None:
    import torch

    config = Config(cell, layers=2, dtype=np.float32, T=5, B=3, I=4, H=9, P=4)
    call = Call.draw(config)
    names = [name for name, _ in call.spec.parameters]
    factors = [scale if "bias" in name else weight if "weight_ih" in name else 1 for name in names]
    tiny = replace(
        call,
        x=scaled(call.x, scale),
        states=[scaled(a, scale) for a in call.states],
        parameters=[scaled(a, factor) for a, factor in zip(call.parameters, factors, strict=True)],
        dy=scaled(call.dy, gradient),
        dstates=[scaled(a, 0) for a in call.dstates],
    )
    subnormal = np.array([1e-40], np.float32)
    expected = tiny.run(isa)
    try:
        assert torch.set_flush_denormal(True)
        found = tiny.run(isa)
        still_flushes = (subnormal * np.float32(1))[0] == 0
    finally:
        torch.set_flush_denormal(False)
    assert still_flushes
    assert (subnormal * np.float32(1))[0] != 0
    assert_same_bits(found, expected)
