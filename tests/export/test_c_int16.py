"""export.c in int16 writes C whose integers are those of the run in NumPy, and near the numbers of float32."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("keras")

import numpy as np
from c_programs import CXX, C, chain, compiled_test, in_c, run
from command_files import call

import pyrnn
from pyrnn import export, nn
from pyrnn.export.fixed.network import IntegerNetwork

COMPILERS = [name for name in ("gcc", "clang", "clang-19") if shutil.which(name)]
SANITIZED = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

# Sizes lie around four, since products take four rows and columns at once, and above 512, the longest sum in int32.
NETWORKS = {
    "rnn": pyrnn.RNN(3, 9, 2, seed=0),
    "rnn chosen": pyrnn.RNN(5, 3, activation="hard_sigmoid_keras2", batch_first=True, seed=2),
    "lstm": pyrnn.LSTM(16, 24, seed=3),
    "lstm without bias": pyrnn.LSTM(1, 1, 3, bias=False, seed=4),
    "lstm projected": pyrnn.LSTM(5, 11, 2, proj_size=3, seed=5),
    "lstm chosen": pyrnn.LSTM(4, 7, activation="sigmoid", recurrent_activation="hard_sigmoid_keras3", seed=7),
    "lstm wide": pyrnn.LSTM(1030, 2, seed=7),
    "gru": pyrnn.GRU(7, 20, 2, dropout=0.5, seed=8),
    "gru without bias": pyrnn.GRU(2, 6, bias=False, batch_first=True, seed=9),
    "gru reset before": pyrnn.GRU(3, 10, 2, reset_after=False, seed=10),
    "gru reset before, chosen": pyrnn.GRU(
        3, 5, reset_after=False, activation="sigmoid", recurrent_activation="hard_sigmoid_keras2", seed=12
    ),
    "linear": nn.Linear(4, 19, seed=0),
    "convolution": nn.Sequential(
        nn.Linear(3, 5, seed=0),
        nn.ChannelsLast(nn.Conv1d(5, 6, 3, padding=[(4, 0)], dilation=2, bias=False, seed=1)),
        nn.ReLU(),
        nn.ChannelsLast(nn.Conv1d(6, 2, 100, padding=[(99, 0)], seed=2)),  # a sum of 600
    ),
    "chain": chain(),
    "chain, batch first": chain(True),
}


def drawn(width: int, steps: int = 300, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((steps, width)) * scale


def integers(model: pyrnn.Module, data: np.ndarray) -> IntegerNetwork:
    """The model as integers in NumPy, as export.c computes it."""
    return IntegerNetwork(model, data)


def usual_and_extreme(network: IntegerNetwork, data: np.ndarray) -> np.ndarray:
    """The data, then numbers over all of int16, its ends among them, then data again."""
    random = np.random.default_rng(1)
    far = random.integers(-32768, 32768, data.shape).astype(np.int16)
    ends = random.choice(np.array([-32768, 32767], np.int16), data.shape)
    same = np.full((20, data.shape[1]), -32768, np.int16)
    return np.concatenate([network.inputs_of(data), far, ends, same, network.inputs_of(data[:50])])


@pytest.mark.parametrize("scale", [0.003, 1.0, 50.0])
@pytest.mark.parametrize("name", NETWORKS)
def test_c_has_the_integers_of_numpy(tmp_path: Path, name: str, scale: float) -> None:
    model = NETWORKS[name]
    width = getattr(model, "input_size", getattr(model, "in_features", 3))
    data = drawn(width, 40 if name == "lstm wide" else 300, scale)
    network = integers(model, data)
    x = usual_and_extreme(network, data)
    export.c(model, "vad", tmp_path, data, "int16")
    expected = network.run(x)
    np.testing.assert_array_equal(in_c(tmp_path, x, network.outputs), expected)
    assert len(np.unique(expected)) > 2  # not stuck at the ends


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_overflows_for_any_input(tmp_path: Path, name: str) -> None:
    model = NETWORKS[name]
    width = getattr(model, "input_size", getattr(model, "in_features", 3))
    export.c(model, "vad", tmp_path, drawn(width, 20), "int16")
    compiled_test(tmp_path, *SANITIZED)  # pseudo-random steps over all of int16, cut in two, and step by step


def test_indices_are_taken_as_they_are_and_clipped_to_the_table(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Embedding(11, 6, seed=0), pyrnn.GRU(6, 10, seed=3), nn.Linear(10, 5, seed=4))
    data = np.random.default_rng(0).integers(0, 11, 300)
    report = export.c(model, "vad", tmp_path, data, "int16")
    x = data.astype(np.int32)[:, None]
    x[5:7] = [[-3], [11]]  # outside of the table, so that the nearest row counts
    expected = integers(model, data).run(x)
    np.testing.assert_array_equal(in_c(tmp_path, x, 5), expected)
    assert report.error.snr_db > 38  # the error of int8 weights; a GRU alone has 44 dB, here a Linear adds to it
    assert set(formats(tmp_path)) == {"OUTPUT"}
    compiled_test(tmp_path, *SANITIZED)


@pytest.mark.parametrize("language", [C, CXX], ids=["C99", "C++11"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_compiler_takes_it_without_a_warning(tmp_path: Path, compiler: str, language: list[str]) -> None:
    export.c(chain(), "vad", tmp_path, drawn(3), "int16")
    hashes = {compiled_test(tmp_path, level, compiler=compiler, language=language) for level in ("-O0", "-O2", "-Os")}
    assert len(hashes) == 1


ARM = [["arm-none-eabi-gcc", "-mthumb", f"-mcpu=cortex-{cpu}"] for cpu in ("m0plus", "m3", "m4")]


@pytest.mark.parametrize("compiler", [["gcc"], *(ARM if shutil.which(ARM[0][0]) else [])], ids=" ".join)
@pytest.mark.parametrize("name", ["chain", "lstm projected", "gru reset before", "lstm chosen"])
def test_there_is_no_float_and_no_call_of_a_library(tmp_path: Path, name: str, compiler: list[str]) -> None:
    model = NETWORKS[name]
    export.c(model, "vad", tmp_path, drawn(getattr(model, "input_size", 3)), "int16")
    for file in ("vad.c", "vad.h"):
        text = re.sub(r"/\*.*?\*/", "", (tmp_path / file).read_text(), flags=re.S)
        assert not re.search(r"\b(float|double|int64_t|uint64_t|long)\b|\d\.\d|\d[eE][-+]?\d", text)
    for level in ("-O0", "-O2", "-O3", "-Os"):
        run(*compiler, "-std=c99", level, "-c", "vad.c", cwd=tmp_path)
        undefined = run(compiler[0].replace("gcc", "nm"), "-u", "vad.o", cwd=tmp_path).split()
        # On ARMv6-M GCC calls its library for a large switch or a long prologue, never for arithmetic.
        assert [symbol for symbol in undefined if symbol != "U" and not symbol.startswith("__gnu_thumb1_case")] == []


# -- how near it is ----------------------------------------------------------------------------------------


def loud(model: pyrnn.Module, gain: float) -> pyrnn.Module:
    """Scales the weights to several times torch's initial size, which trained weights have."""
    model.load_state_dict({name: gain * value for name, value in model.parameters().items()})
    return model


@pytest.mark.parametrize("gain", [1.0, 3.0])
@pytest.mark.parametrize("kind", [pyrnn.RNN, pyrnn.LSTM, pyrnn.GRU])
def test_int16_is_nearer_to_float32_than_int8(tmp_path: Path, kind: type, gain: float) -> None:
    model, x = loud(kind(12, 40, seed=0), gain), drawn(12)
    exported = {profile: export.c(model, "vad", tmp_path, x, profile) for profile in ("int8", "int16")}
    found = {profile: report.error.snr_db for profile, report in exported.items()}
    # The weights have 8 bits in both, inputs and h 16 bits or 8. With gain 3 an RNN amplifies the difference.
    assert found["int16"] > found["int8"] + 1
    assert found["int16"] > (25 if gain > 1 else 44)


@pytest.mark.parametrize("kind", [pyrnn.RNN, pyrnn.LSTM, pyrnn.GRU])
def test_int16_loses_little_where_the_weights_are_integers(tmp_path: Path, kind: type) -> None:
    """Only inputs, states and activations are rounded here."""
    model, random = kind(12, 40, seed=0), np.random.default_rng(3)
    weights = {name: random.integers(-126, 127, value.shape) for name, value in model.parameters().items()}
    for value in weights.values():
        if value.ndim == 2:
            value[:, 0] = 127  # so the scale is 2^-9
    model.load_state_dict({name: np.float32(value * 2.0**-9) for name, value in weights.items()})
    assert export.c(model, "vad", tmp_path, drawn(12), "int16").error.snr_db > 65


def test_a_gru_with_an_update_gate_near_one_moves_on() -> None:
    """With 15 bits h would stop 0.017 before n, where (1 - z) (n - h) is half of its last bit."""
    model = pyrnn.GRU(1, 1, seed=0)
    zeros = {name: np.zeros_like(value) for name, value in model.parameters().items()}
    zeros["bias_ih_l0"][:] = 0, 7, 0.5  # 1 - z = 0.0009
    model.load_state_dict(zeros)
    x = np.zeros((8000, 1), np.float32)
    network = integers(model, x)
    found, exact = network.run(network.inputs_of(x)) / 2**15, model(x)[0]
    assert np.abs(found - exact).max() < 2e-3  # the error comes from z, whose last bit is a 30th of 1 - z
    assert np.abs(found[-1] - np.tanh(0.5)) < 5e-4


def test_an_lstm_with_an_open_forget_gate_keeps_its_state() -> None:
    """The gate is exactly one, not the largest number below one."""
    model = pyrnn.LSTM(1, 1, seed=0)
    zeros = {name: np.zeros_like(value) for name, value in model.parameters().items()}
    zeros["weight_ih_l0"][:, 0] = 40, 0, 3, 0
    zeros["bias_ih_l0"][:] = -20, 30, 0, 30
    model.load_state_dict(zeros)
    x = np.zeros((20_000, 1), np.float32)
    x[:3] = 1
    network = integers(model, x[:100])
    y = network.run(network.inputs_of(x))
    assert y[2] > 32000  # c = 3 tanh(3)
    assert (y[2:] == y[2]).all()


def test_values_beyond_int16_stay_at_its_ends(tmp_path: Path) -> None:
    model = nn.Linear(2, 1, bias=False, seed=0)
    model.weight = np.full((1, 2), 127 / 32, np.float32)
    export.c(model, "vad", tmp_path, np.float32([[0.99, 0], [0, -0.99]]), "int16")  # inputs below 2, outputs below 8
    x = np.array([[16384, 0], [-16384, 0], [32767, 32767], [-32768, -32768], [32767, -32767]], np.int16)
    assert in_c(tmp_path, x, 1).ravel().tolist() == [127 * 128, -127 * 128, 32767, -32768, 0]


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_longest_sum_of_the_largest_products_fits(tmp_path: Path, sign: int) -> None:
    """512 * 127 * 2^15 is just below 2^31; the next 512 products make another sum."""
    model = nn.Linear(1024, 5, seed=0)
    model.weight = np.full((5, 1024), sign, np.float32)
    data = np.full((3, 1024), 0.01)
    export.c(model, "vad", tmp_path, data, "int16")
    x = np.array([[-32768] * 1024, [32767] * 1024], np.int16)
    trap = ("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
    found = in_c(tmp_path, x, 5, *trap)
    np.testing.assert_array_equal(found, integers(model, data).run(x))
    expected = np.array([-32768, 32767] if sign == 1 else [32767, -32768])  # 3 times beyond the data's outputs
    np.testing.assert_array_equal(found, np.repeat(expected[:, None], 5, 1))


def test_the_header_names_the_fraction_bits_of_input_and_output(tmp_path: Path) -> None:
    model, x = nn.Sequential(pyrnn.GRU(3, 5, seed=0), nn.Linear(5, 2, seed=1)), drawn(3, scale=3)
    report = export.c(model, "vad", tmp_path, x, "int16")
    bits = formats(tmp_path)
    assert 2**13 <= np.abs(x).max() * 2.0 ** bits["INPUT"] < 2**14
    y = in_c(tmp_path, np.rint(x * 2.0 ** bits["INPUT"]).astype(np.int16), 2) * 2.0 ** -bits["OUTPUT"]
    assert np.abs(y - model(np.float32(x))).max() < 0.01  # the error of int8 weights below 0.5 at inputs of 3
    assert f"{report.error.snr_db:.1f} dB signal-to-noise ratio against float32" in str(report)


def test_large_numbers_have_fewer_than_no_fraction_bits(tmp_path: Path) -> None:
    export.c(nn.Linear(3, 2, seed=0), "vad", tmp_path, np.float32([[1e5, 0, 0]]), "int16")
    assert formats(tmp_path)["INPUT"] == -3  # 1e5 / 2^3 < 2^14
    compiled_test(tmp_path, *SANITIZED)


def formats(folder: Path) -> dict[str, int]:
    header = (folder / "vad.h").read_text()
    return {name: int(value) for name, value in re.findall(r"#define VAD_(\w+)_BITS \(?(-?\d+)", header)}


def test_the_report_counts_the_ram_and_weights_that_a_compiler_makes(tmp_path: Path) -> None:
    report = export.c(chain(), "vad", tmp_path, drawn(3), "int16")
    (tmp_path / "size.c").write_text('#include "vad.h"\nchar size[sizeof(vad_state)];\n')
    run("gcc", *C, "-fno-common", "-c", "size.c", cwd=tmp_path)
    assert f"{report.ram:016x}" in run("nm", "-S", "size.o", cwd=tmp_path)
    found = re.findall(r"static const u?int(\d+)_t \w+\[(\d+)\] VAD_WEIGHTS", (tmp_path / "vad.c").read_text())
    assert report.weights == sum(int(bits) // 8 * int(size) for bits, size in found)


# -- refusals, and the command -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "data", "sentence"),
    [
        (pyrnn.GRU(3, 5), None, "profile 'int16' needs data: sequences"),
        (
            pyrnn.RNN(3, 5, nonlinearity="relu"),
            drawn(3),
            "a RNN has the activation 'relu', whose states have no",
        ),
        (pyrnn.LSTM(3, 5, recurrent_activation="tanh"), drawn(3), "a LSTM has the recurrent activation 'tanh'; gates"),
        (pyrnn.LSTM(3, 5, peephole=True), drawn(3), "a LSTM has peepholes"),
        (nn.Sequential(nn.Linear(3, 5), nn.Activation("elu")), drawn(3), "layer '1', Activation, 'elu' cannot be"),
        (nn.Sequential(nn.Linear(3, 5), nn.Softmax()), drawn(3), "layer '1', Softmax, cannot be exported in int16"),
        (
            nn.Sequential(nn.ChannelsLast(nn.Conv1d(4, 4, 1, groups=2))),
            drawn(4),
            "layer '0', ChannelsLast, holds a Conv1d of 2 groups; in int16 it can have only one",
        ),
        (pyrnn.GRU(3, 5), drawn(3, scale=1e8), "data reaches 3"),
        (loud(pyrnn.GRU(3, 5), 1e4), drawn(3, scale=1e4), "GRU(3, 5): inputs and weights this large"),
        (pyrnn.GRU(3, 5, bidirectional=True), drawn(3), "a GRU is bidirectional"),
        (pyrnn.GRU(3, 5), drawn(4), "data should be sequences of 3 inputs"),
    ],
)
def test_a_network_without_an_int16_form_is_refused(
    tmp_path: Path, model: pyrnn.Module, data: np.ndarray | None, sentence: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        export.c(model, "vad", tmp_path / "out", data, "int16")
    assert not (tmp_path / "out").exists()


def test_the_command_writes_what_the_function_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = chain()
    model.save(tmp_path / "model.safetensors")
    np.save(tmp_path / "x.npy", drawn(3))
    options = ["--name", "vad", "-o", tmp_path / "out", "--profile", "int16"]
    assert call("export-c", tmp_path / "model.safetensors", *options) == 2
    assert "needs data" in capsys.readouterr().err
    assert call("export-c", tmp_path / "model.safetensors", *options, "--data", tmp_path / "x.npy") == 0
    report = export.c(model, "vad", tmp_path / "again", drawn(3), "int16")
    assert capsys.readouterr().out == f"{report}\n"
    for file in ("vad.h", "vad.c", "vad_test.c"):
        assert (tmp_path / "out" / file).read_text() == (tmp_path / "again" / file).read_text()
