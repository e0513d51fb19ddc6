"""The layers around the recurrent ones have in exported C the bits of their calls in Python."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from c_programs import compiled_test, in_c, loud_and_silent, tokens

import pyrnn
from pyrnn import export, nn
from pyrnn.export import elementwise


def same(found: np.ndarray, expected: np.ndarray) -> None:
    """Asserts equal bits, where any NaN equals any other."""
    there = ~np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(found), ~there)
    np.testing.assert_array_equal(found[there].view(np.uint32), expected[there].view(np.uint32))


# -- embedding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["float32", "int8"])
def test_a_network_from_indices_to_probabilities_has_the_bits_of_its_call(tmp_path: Path, profile: str) -> None:
    model = tokens().eval()
    words = np.random.default_rng(0).integers(0, 11, 40).astype(np.int32)
    export.c(model, "vad", tmp_path, words, profile)
    ready = model if profile == "float32" else model.quantize(profile)
    steps = [ready(words[None, : t + 1])[0] for t in range(len(words))]
    same(in_c(tmp_path, words[:, None], 5), np.array(steps))
    compiled_test(tmp_path)
    assert "vad_step(vad_state *s, const int32_t x[VAD_INPUTS], float" in (tmp_path / "vad.h").read_text()


def test_an_index_out_of_range_is_taken_as_the_nearest(tmp_path: Path) -> None:
    table = nn.Embedding(5, 3, seed=0)
    export.c(table, "vad", tmp_path)
    words = np.array([0, -1, -(2**31), 4, 5, 2**31 - 1], np.int32)
    found = in_c(tmp_path, words[:, None], 3, "-fsanitize=undefined", "-fno-sanitize-recover=all")
    same(found, table(words.clip(0, 4)))


@pytest.mark.parametrize("shape", [(9,), (9, 2), (2, 9)])
def test_the_written_test_runs_the_first_sequence_of_indices(tmp_path: Path, shape: tuple[int, ...]) -> None:
    words = np.random.default_rng(0).integers(0, 5, shape)
    batch_first = shape == (2, 9)
    model = nn.Sequential(nn.Embedding(5, 3, seed=0), pyrnn.GRU(3, 4, batch_first=batch_first, seed=0))
    export.c(model, "vad", tmp_path, words)
    first = words if words.ndim == 1 else words[0] if batch_first else words[:, 0]
    assert f"inputs[shown * VAD_INPUTS] = {{\n  {', '.join(map(str, first))}," in (tmp_path / "vad_test.c").read_text()


# -- convolution -------------------------------------------------------------------------------------------


def of_windows(conv: nn.Conv1d, x: np.ndarray) -> np.ndarray:
    """A causal convolution of x [T,C] by Linear, which takes at each step the last inputs, the oldest first."""
    (taps,), dilation = conv.config()["kernel_size"], conv.config()["dilation"][0]
    width, outputs = conv.in_channels // conv.groups, conv.out_channels // conv.groups
    padded = np.concatenate([np.zeros((dilation * (taps - 1), x.shape[1]), x.dtype), x])
    parts = []
    for group in range(conv.groups):
        linear = pyrnn.Linear(taps * width, outputs)
        rows = slice(group * outputs, (group + 1) * outputs)
        weight = conv.weight[rows].swapaxes(1, 2).reshape(outputs, -1)
        bias = conv.parameters().get("bias", np.zeros(conv.out_channels, np.float32))[rows]
        linear.load_state_dict({"weight": weight, "bias": bias})
        mine = padded[:, group * width : (group + 1) * width]
        windows = [mine[t : t + dilation * (taps - 1) + 1 : dilation].reshape(-1) for t in range(len(x))]
        parts.append(linear(np.array(windows)))
    return np.concatenate(parts, 1)


@pytest.mark.parametrize(
    ("channels", "outputs", "taps", "options"),
    [
        (1, 1, 1, {}),
        (3, 8, 4, {}),
        (2, 19, 3, {"dilation": 5}),
        (6, 12, 3, {"groups": 3}),
        (5, 5, 2, {"groups": 5, "dilation": 3, "bias": False}),
    ],
)
def test_a_causal_convolution_has_the_bits_of_its_call(
    tmp_path: Path, channels: int, outputs: int, taps: int, options: dict[str, int]
) -> None:
    back = options.get("dilation", 1) * (taps - 1)
    conv = nn.Conv1d(channels, outputs, taps, padding=[(back, 0)], seed=0, **options)
    model = nn.ChannelsLast(conv)
    report = export.c(model, "vad", tmp_path)
    x = loud_and_silent(channels)
    expected = model(x[None])[0]
    same(in_c(tmp_path, x, outputs), expected)
    same(of_windows(conv, x), expected)
    compiled_test(tmp_path, "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    assert report.macs == outputs * taps * channels // conv.groups


# -- activations -------------------------------------------------------------------------------------------

SPECIAL = [
    0.0,
    -0.0,
    1e-40,
    -1e-40,
    3e-8,
    -3e-8,
    np.inf,
    -np.inf,
    np.nan,
    88.7,
    88.9,
    -87.5,
    -103.5,
    -104.5,
    3e38,
    -3e38,
]


def passing() -> nn.Linear:
    """A Linear that returns x, with the sign of a zero."""
    linear = nn.Linear(1, 1)
    linear.load_state_dict({"weight": [[1.0]], "bias": [-0.0]})
    return linear


ALPHAS = {"leaky_relu": (0.2, -3), "elu": (0.5, 2)}


@pytest.mark.parametrize(
    ("name", "alpha"), [(name, alpha) for name in elementwise.LAYERS for alpha in (None, *ALPHAS.get(name, ()))]
)
def test_an_activation_has_the_bits_of_its_call(tmp_path: Path, name: str, alpha: float | None) -> None:
    model = nn.Sequential(passing(), nn.Activation(name, alpha))
    export.c(model, "vad", tmp_path)
    drawn = np.random.default_rng(0).standard_normal(20_000, np.float32)
    x = np.concatenate(
        [np.array(SPECIAL, np.float32), drawn, 30 * drawn, np.linspace(-110, 95, 20_001, dtype=np.float32)]
    )
    expected = model(x[:, None])
    same(in_c(tmp_path, x[:, None], 1, "-march=native"), expected)
    assert np.isfinite(expected).sum() > 50_000


def test_softmax_has_the_bits_of_its_call(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 7, seed=0), nn.Softmax())
    export.c(model, "vad", tmp_path)
    x = loud_and_silent(3)
    x[-3:] = [[np.inf, 0, 0], [0, np.nan, 0], [1e30, -1e30, 1e30]]
    same(in_c(tmp_path, x, 7), model(x))


def test_exp_has_the_constants_of_the_kernels() -> None:
    text = (Path(__file__).parents[2] / "csrc/simd/math.h").read_text()
    fit = re.search(r"ExpRange<float> \{(.*?)\n\};", text, re.S)
    assert fit
    kernels = dict(re.findall(r"(\w+) = (-?[\w.+-]+?)f?[,;]", fit[1]))
    mine = [float(number.removesuffix("f")) for number in (elementwise.EXP_LEAST, elementwise.EXP_MOST)]
    assert mine == [float(kernels["least"]), float(kernels["most"])]
    parts = [np.float32(float.fromhex(kernels[name])) for name in ("ln2_high", "ln2_low")]
    assert [np.float32(number.removesuffix("f")) for number in elementwise.EXP_LN2] == parts
    series = [np.float32(1) / np.float32(math.factorial(k + 1)) for k in range(int(kernels["terms"]))]
    assert [np.float32(number.removesuffix("f")) for number in elementwise.EXP_SERIES] == series
