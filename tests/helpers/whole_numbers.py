"""Arrays of whole numbers, on which convolutions and poolings are exact, and random geometries for them.

Sums of whole numbers of one digit are exact in float32 in any order, so that no comparison needs a tolerance.
"""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[Any]

DIMS = pytest.mark.parametrize("dims", [1, 2])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SEEDS = st.integers(0, 2**32 - 1)


def whole(seed: int, shape: Any, dtype: Any = np.float64) -> Array:
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def with_whole_weights(layer: Any, seed: int) -> Any:
    layer.load_state_dict({name: whole(seed, value.shape) for name, value in layer.state_dict().items()})
    return layer


def gradients(layer: Any, x: Array, seed: int) -> tuple[Array, Array, dict[str, Array]]:
    """Output, gradient of the input and of the parameters; the call alone gives the same output."""
    y, _, pullback = layer.vjp(x)
    np.testing.assert_array_equal(layer(x), y, strict=True)
    found = pullback(whole(seed, y.shape, x.dtype))
    return y, found.input, found.parameters


def assert_equal(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> None:
    for actual, expected in zip(ours[:2], theirs[:2], strict=True):
        np.testing.assert_array_equal(actual, expected, strict=True)
    assert list(ours[2]) == list(theirs[2])
    for name, expected in theirs[2].items():
        np.testing.assert_array_equal(ours[2][name], expected, strict=True)


def keras_pads(lengths: Any, kernel: Any, stride: Any, dilation: Any) -> list[tuple[int, int]]:
    """Keras' padding of "same": ceil(n / stride) windows, with the odd zero at the end."""
    pads = []
    for n, k, s, d in zip(lengths, kernel, stride, dilation, strict=True):
        windows = (n + s - 1) // s
        last_end = (windows - 1) * s + (k - 1) * d + 1
        missing = max(last_end - n, 0)
        pads.append((missing // 2, missing - missing // 2))
    return pads


@st.composite
def geometries(draw: st.DrawFn, dims: int, dilated: bool = True) -> dict[str, Any]:
    """Draws kernel, stride, dilation, and an input that is large enough for them without padding."""
    sizes = {
        name: [draw(st.integers(1, most)) for _ in range(dims)]
        for name, most in {"kernel_size": 4, "stride": 4, "dilation": 3 if dilated else 1}.items()
    }
    extents = [(k - 1) * d + 1 for k, d in zip(sizes["kernel_size"], sizes["dilation"], strict=True)]
    return {**sizes, "lengths": [e + draw(st.integers(0, 6)) for e in extents], "batch": draw(st.integers(0, 4))}
