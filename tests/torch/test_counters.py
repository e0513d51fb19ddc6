"""`stats` counts the calls of the kernels and of torch; a profile shows a range for each call."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("torch")

import torch
from drop_ins import CELLS, LAYERS, input_of, pair
from torch import nn
from torch.profiler import ProfilerActivity, profile

import pyrnn.torch as drop_in
from pyrnn.torch import counters


@pytest.fixture(autouse=True)
def _from_zero() -> None:
    drop_in.stats(reset=True)


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_each_call_counts_once_for_who_ran_it(name: str) -> None:
    _, ours = pair(name, 3, 5)
    with torch.no_grad():
        for _ in range(3):  # the first call packs the weights, and the others take a shorter way
            ours(input_of(name))
    assert drop_in.stats() == drop_in.Stats(3, {})
    ours.bfloat16()(input_of(name, dtype=torch.bfloat16))
    (reason,) = drop_in.stats().torch
    assert "gradients may be asked for" in reason if name == "RNNCell" else "torch.bfloat16" in reason
    assert drop_in.stats().torch == {reason: 1}


@pytest.mark.parametrize("name", [*LAYERS, "LSTMCell", "GRUCell"])
def test_a_call_that_records_gradients_counts_once(name: str) -> None:
    pair(name, 3, 5)[1](input_of(name))
    assert drop_in.stats() == drop_in.Stats(1, {})


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_a_transform_is_named_as_the_reason() -> None:
    _, ours = pair("GRU", 3, 5)
    torch.func.jvp(lambda x: ours(x)[0], (torch.zeros(4, 2, 3),), (torch.ones(4, 2, 3),))
    assert list(drop_in.stats().torch) == ["a transform of torch.func (vmap, jvp, grad) is running"]


def test_reset_begins_again_at_zero() -> None:
    _, ours = pair("GRU", 3, 5)
    ours(torch.zeros(4, 2, 3))
    assert drop_in.stats(reset=True).kernels == 1
    assert drop_in.stats() == drop_in.Stats(0, {})
    ours(torch.zeros(4, 2, 3))
    assert [drop_in.stats().kernels for _ in range(3)] == [1, 1, 1]
    with pytest.raises(TypeError, match="reset"):
        drop_in.stats(reset=1)  # type: ignore[arg-type]


def test_no_call_of_any_thread_is_lost() -> None:
    def count(_: int) -> None:
        for _ in range(10_000):
            counters.count_kernels()
            counters.count_torch("a reason")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    assert drop_in.stats() == drop_in.Stats(80_000, {"a reason": 80_000})


def test_many_reasons_share_one_counter() -> None:
    for i in range(2 * counters.MOST_REASONS):
        counters.count_torch(f"reason {i}")
    found = drop_in.stats().torch
    assert len(found) <= counters.MOST_REASONS + 1
    assert sum(found.values()) == 2 * counters.MOST_REASONS
    for i in range(2 * counters.MOST_REASONS):
        counters._torch.pop(f"reason {i}", None)


def test_stats_print_as_a_table() -> None:
    assert str(drop_in.Stats(12, {"autocast is on": 3})) == "12  pyrnn's kernels\n 3  torch: autocast is on"


@pytest.mark.parametrize("name", ["GRU", "LSTMCell"])
def test_a_profile_shows_a_range_for_each_call(name: str) -> None:
    _, ours = pair(name, 3, 5)
    model = nn.Sequential(ours)
    with profile(activities=[ProfilerActivity.CPU]) as found:
        with torch.no_grad():
            model(input_of(name))
            model(input_of(name))
        model(input_of(name))
    ranges = {event.key: event.count for event in found.key_averages()}
    assert ranges[f"pyrnn.torch.{name}"] == 3
