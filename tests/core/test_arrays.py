"""Arrays in and out of a call: memory layouts, empty batches, who owns what, and the pullback's contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cases
import numpy as np
import pytest
from cases import DTYPES, Array, Config

import pyrnn

CELLS = ("rnn_tanh", "rnn_relu", "lstm", "lstm_proj", "gru", "gru_reset_before")


def strided(array: Array) -> Array:
    """Every second element of a larger array, along every axis."""
    larger = np.full([2 * n for n in array.shape], np.nan, array.dtype)
    view = larger[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    return view


def unaligned(array: Array) -> Array:
    memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
    view = memory.view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def read_only(array: Array) -> Array:
    view = array.copy()
    view.flags.writeable = False
    return view


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "strided": strided,
    "fortran": lambda a: np.asarray(a, order="F"),
    "negative-strides": lambda a: np.ascontiguousarray(np.flip(a))[tuple(slice(None, None, -1) for _ in a.shape)],
    "broadcast-first-axis": lambda a: np.broadcast_to(a[:1], a.shape),
    "broadcast-last-axis": lambda a: np.broadcast_to(a[..., :1], a.shape),
    "broadcast-all": lambda a: np.broadcast_to(a.flat[0], a.shape),
    "unaligned": unaligned,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "read-only": read_only,
}


def gradient_arrays(gradients: Any) -> list[Array]:
    return [gradients.input, *cases.as_states(gradients.state), *gradients.parameters.values()]


def assert_identical(actual: Any, expected: Any) -> None:
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


def draw(config: Config) -> tuple[Array, tuple[Array, ...], Array, tuple[Array, ...]]:
    rng = np.random.default_rng(5)
    states = config.draw_states(rng)
    return config.draw_input(rng), states, config.draw_output_gradient(rng), config.draw_states(rng)


def run(layer: Any, x: Array, states: tuple[Array, ...], dy: Array, dstates: tuple[Array, ...]) -> list[Array]:
    y, state, pullback = layer.vjp(x, cases.as_given(states))
    return [y, *cases.as_states(state), *gradient_arrays(pullback(dy, cases.as_given(dstates)))]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_first", [False, True], ids=["time-first", "batch-first"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_layout_changes_no_bit(layout: str, cell: str, batch_first: bool, dtype: Any) -> None:
    config = Config(cell, 2, True, batch_first=batch_first, dtype=dtype)
    layer = config.pyrnn_layer(seed=1)
    x, states, dy, dstates = draw(config)
    views = [LAYOUTS[layout](array) for array in (x, *states, dy, *dstates)]
    plain = [np.array(view, dtype, order="C") for view in views]
    count = len(states)

    def results(arrays: list[Array]) -> list[Array]:
        return run(layer, arrays[0], tuple(arrays[1 : 1 + count]), arrays[1 + count], tuple(arrays[2 + count :]))

    assert_identical(results(views), results(plain))
    assert_identical([np.array(view, dtype) for view in views], plain)  # the call wrote into none of them


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_the_kernels_never_read_an_address_that_is_no_multiple_of_the_element(name: str, dtype: Any) -> None:
    # With checkpoints a pullback reads the input again: the caller's own array, unless it was copied.
    layer = getattr(pyrnn, name)(5, 7, dtype=dtype, seed=0)
    x = np.random.default_rng(0).standard_normal((9, 2, 5)).astype(dtype)
    y, _, pullback = layer.vjp(x, checkpoint=4)
    right = pullback(np.ones_like(y))
    given = unaligned(x)
    assert given.flags.c_contiguous
    assert not given.flags.aligned
    _, _, pullback = layer.vjp(given, checkpoint=4)
    given[...] = 0
    assert_identical(gradient_arrays(pullback(np.ones_like(y))), gradient_arrays(right))


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_layout_changes_no_bit_in_a_cell(layout: str, name: str) -> None:
    cell, rng = getattr(pyrnn, name)(3, 5, seed=1), np.random.default_rng(5)
    count = 2 if name == "LSTMCell" else 1
    x, *states = (rng.uniform(-1, 1, (4, width)).astype(np.float32) for width in (3, 5, 5)[: 1 + count])
    views = [LAYOUTS[layout](array) for array in (x, *states)]
    plain = [np.array(view, np.float32, order="C") for view in views]
    actual = cell(views[0], cases.as_given(tuple(views[1:])))
    assert_identical(cases.as_states(actual), cases.as_states(cell(plain[0], cases.as_given(tuple(plain[1:])))))


@pytest.mark.parametrize("cell", CELLS)
def test_a_batch_of_none_gives_zero_gradients(cell: str) -> None:
    config = Config(cell, 2, True, B=0)
    y, *rest = run(config.pyrnn_layer(), *draw(config))
    assert y.shape[:2] == (4, 0)
    for gradient in rest:
        assert not gradient.any()


@pytest.mark.parametrize("cell", CELLS)
def test_one_step_at_a_time_is_the_sequence(cell: str) -> None:
    config = Config(cell, 2, dtype=np.float32, T=9, I=17, H=33)
    layer = config.pyrnn_layer(seed=1)
    x, states, *_ = draw(config)
    y, final = layer(x, cases.as_given(states))
    state, steps = cases.as_given(states), []
    for t in range(config.T):
        y_t, state = layer(x[t : t + 1], state)
        steps.append(y_t)
    assert_identical([np.concatenate(steps), *cases.as_states(state)], [y, *cases.as_states(final)])


@pytest.mark.parametrize("cell", CELLS)
def test_pullback_may_be_called_again(cell: str) -> None:
    config = Config(cell, 2, True)
    x, states, dy, dstates = draw(config)
    *_, pullback = config.pyrnn_layer(seed=1).vjp(x, cases.as_given(states))
    first = gradient_arrays(pullback(dy, cases.as_given(dstates)))
    other = gradient_arrays(pullback(2 * dy, None))
    assert_identical(gradient_arrays(pullback(dy, cases.as_given(dstates))), first)
    assert not np.array_equal(other[0], first[0])


@pytest.mark.parametrize("cell", CELLS)
def test_a_gradient_of_none_is_zero(cell: str) -> None:
    config = Config(cell, 2, True)
    x, states, dy, dstates = draw(config)
    *_, pullback = config.pyrnn_layer(seed=1).vjp(x, cases.as_given(states))
    no_dy, no_dstate = np.zeros_like(dy), cases.as_given(tuple(np.zeros_like(d) for d in dstates))
    some = cases.as_given(dstates)
    pairs = [((None, some), (no_dy, some)), ((dy, None), (dy, no_dstate)), ((), (no_dy, no_dstate))]
    if len(dstates) == 2:
        (dh, dc), (no_dh, no_dc) = dstates, no_dstate
        pairs += [((dy, (dh, None)), (dy, (dh, no_dc))), ((dy, (None, dc)), (dy, (no_dh, dc)))]
    for given, spelt_out in pairs:
        assert_identical(gradient_arrays(pullback(*given)), gradient_arrays(pullback(*spelt_out)))


@pytest.mark.parametrize("cell", CELLS)
def test_pullback_belongs_to_its_forward_pass(cell: str) -> None:
    config = Config(cell, 2, True)
    layer = config.pyrnn_layer(seed=1)
    x, states, dy, dstates = draw(config)
    expected = run(layer, x, states, dy, dstates)
    y, state, pullback = layer.vjp(x, cases.as_given(states))
    for array in (x, *states, y, *cases.as_states(state)):
        array[...] = 7  # a caller's buffer, used again
    layer.load_state_dict({name: 2 * value for name, value in layer.state_dict().items()})
    layer.vjp(x, cases.as_given(states))
    found = gradient_arrays(pullback(dy, cases.as_given(dstates)))
    assert_identical(found, expected[-len(found) :])


@pytest.mark.parametrize("cell", CELLS)
def test_results_are_the_callers_own(cell: str) -> None:
    config = Config(cell)
    layer = config.pyrnn_layer(seed=1)
    x, states, dy, dstates = draw(config)
    first = run(layer, x, states, dy, dstates)
    kept = [array.copy() for array in first]
    second = run(layer, -x, states, -dy, dstates)
    assert_identical(first, kept)
    for array in first:
        assert array.flags.writeable
        assert not any(np.shares_memory(array, other) for other in (x, *states, *second))
