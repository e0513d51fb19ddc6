"""export.c reports the sizes that a compiler makes, refuses other networks, and is run by `pyrnn export-c`."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("keras")

import numpy as np
from c_programs import C, chain, compiled_test, run
from command_files import call, network

import pyrnn
from pyrnn import export, nn
from pyrnn.export import functions
from pyrnn.export.measure import code_and_stack


def test_the_report_counts_the_ram_that_a_compiler_makes(tmp_path: Path) -> None:
    report = export.c(chain(), "vad", tmp_path)
    (tmp_path / "size.c").write_text('#include "vad.h"\nchar size[sizeof(vad_state)];\n')
    run("gcc", *C, "-fno-common", "-c", "size.c", cwd=tmp_path)
    assert f"{report.ram:016x}" in run("nm", "-S", "size.o", cwd=tmp_path)
    assert report.macs == 3 * 6 + 4 * 10 * (6 + 10) + 4 * 10 * 20 + 3 * 9 * (10 + 9) + 9 * 17 + 17 * 2
    assert f"{report.macs:,}" in str(report)


@pytest.mark.parametrize(("profile", "reference", "least", "most"), [("int8", np.float32, 30, 70),
                                                                     ("float32", np.float64, 120, 160)])  # fmt: skip
@pytest.mark.parametrize("shape", [(40, 3), (40, 2, 3)])
def test_the_report_says_what_a_profile_costs_on_the_data(
    tmp_path: Path, shape: tuple[int, ...], profile: str, reference: type, least: int, most: int
) -> None:
    x, gru = np.random.default_rng(0).standard_normal(shape, np.float32), pyrnn.GRU(3, 5, seed=0)
    report = export.c(gru, "vad", tmp_path, x, profile)
    first = x if x.ndim == 2 else x[:, 0]
    finer = pyrnn.GRU(3, 5, dtype=reference)
    finer.load_state_dict(gru.state_dict())
    rounded = gru if profile == "float32" else gru.quantize(profile)
    assert report.error == pyrnn.QuantizationError.between(finer(first.astype(reference))[0], rounded(first)[0])
    assert report.error
    assert least < report.error.snr_db < most
    assert f"{report.error.snr_db:.1f} dB signal-to-noise ratio against {reference.__name__}" in str(report)
    assert str(first[0, 0]) + "f" in (tmp_path / "vad_test.c").read_text()


def test_code_and_stack_are_those_of_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = export.c(chain(), "vad", tmp_path)
    assert report.measured
    assert 500 < report.measured.code < 4096
    assert 16 < report.measured.stack < 512
    assert report.flash == report.weights + report.measured.code
    assert f"stack                {report.measured.stack:>7,} bytes" in str(report)
    monkeypatch.setenv("PATH", str(tmp_path))
    bare = export.c(chain(), "vad", tmp_path)
    assert bare == report._replace(measured=None)
    assert "code and stack: not measured, there is neither arm-none-eabi-gcc nor gcc here" in str(bare)


def test_the_stack_is_that_of_the_deepest_chain_of_calls(tmp_path: Path) -> None:
    (tmp_path / "vad.c").write_text("""
__attribute__((noinline)) static int leaf(int n) { volatile char a[500]; a[0] = (char)n; return a[0]; }
__attribute__((noinline)) static int wide(int n) { volatile char a[1000]; a[0] = (char)n; return a[0]; }
__attribute__((noinline)) static int deep(int n) { volatile char a[2000]; a[0] = (char)n; return leaf(n) + a[0]; }
int run(int n) { return wide(n) + deep(n); }
""")
    assert 2400 <= code_and_stack(tmp_path / "vad.c", ["gcc"])[1] < 2700


def test_tanh_has_the_constants_of_the_kernels() -> None:
    text = (Path(__file__).parents[2] / "csrc/simd/math.h").read_text()
    fit = re.search(r"TanhFit<float> \{(.*?)\n\};", text, re.S)
    assert fit
    kernels = re.findall(r"-?\d[\d.]*(?:e-?\d+)?f", fit[1])
    assert kernels == [functions.TANH_CLAMP, *functions.TANH_P, *functions.TANH_Q]
    tiny = re.search(r"constexpr T tiny = sizeof\(T\) == 4 \? T\(0x1p-(\d+)\)", text)
    assert tiny
    assert np.float32(functions.TANH_TINY.removesuffix("f")) == np.ldexp(1.0, -int(tiny[1]))


# -- refusals ----------------------------------------------------------------------------------------------


def with_nan() -> pyrnn.GRU:
    model = pyrnn.GRU(3, 5)
    model.weight_ih_l0 = np.full((15, 3), np.nan, np.float32)
    return model


def disagreeing(*layers: pyrnn.Module) -> nn.Sequential:
    """A network whose layers take other axes than the layer before gives, which warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.Sequential(*layers)


@pytest.mark.parametrize(
    ("model", "options", "sentence"),
    [
        (pyrnn.GRU(3, 5, bidirectional=True), {}, "a GRU is bidirectional"),
        (
            nn.Sequential(pyrnn.GRU(3, 5), nn.LayerNorm(5)),
            {},
            "layer '1', LayerNorm, cannot be exported to C; what can",
        ),
        (nn.Sequential(pyrnn.GRU(3, 5), nn.Softmax(1)), {}, "layer '1', Softmax, is over dim 1; in C it is over the"),
        (nn.Sequential({"conv": nn.Conv1d(3, 5, 1)}), {}, "layer 'conv', Conv1d, runs on [B,C,L]; wrap it"),
        (nn.ChannelsLast(nn.MaxPool1d(2)), {}, "a ChannelsLast cannot be exported to C"),
        (
            nn.ChannelsLast(nn.Conv1d(3, 5, 2, stride=2, padding=[(1, 0)])),
            {},
            "a ChannelsLast holds a Conv1d of stride 2",
        ),
        (
            nn.ChannelsLast(nn.Conv1d(3, 5, 3, padding="same", dilation=2)),
            {},
            "use padding=[(4, 0)], which sees earlier",
        ),
        (nn.ChannelsLast(nn.Conv1d(3, 5, 3)), {}, "use padding=[(2, 0)], which sees earlier"),
        (disagreeing(nn.ChannelsLast(nn.Conv1d(3, 5, 1)), pyrnn.GRU(5, 2)), {}, "with and without batch_first"),
        (disagreeing(pyrnn.GRU(3, 5, batch_first=True), nn.LastStep()), {}, "with and without batch_first"),
        (
            nn.Sequential(nn.Embedding(7, 3, mask_zero=True), pyrnn.GRU(3, 5)),
            {},
            "layer '0', Embedding, has mask_zero",
        ),
        (nn.Sequential(nn.Linear(3, 1), nn.Embedding(7, 3)), {}, "layer '1', Embedding, stands after other layers"),
        (nn.Embedding(7, 3), {"data": np.array([0, 7])}, "data should hold indices from 0 to 6, got 0 to 7"),
        (nn.Embedding(7, 3), {"data": np.zeros((2, 3, 1), int)}, "sequences of indices, [T], [T,B], or [B,T]"),
        (
            nn.Sequential(pyrnn.GRU(3, 5), nn.Activation("gelu")),
            {},
            "layer '1', Activation, 'gelu' cannot be exported to C",
        ),
        (nn.Sequential(nn.ReLU(), nn.Linear(3, 5)), {}, "layer '0', ReLU, stands before all layers"),
        (
            nn.Sequential(pyrnn.GRU(3, 5), nn.LastStep(), pyrnn.GRU(5, 2)),
            {},
            "layer '2', GRU, stands after a LastStep",
        ),
        (disagreeing(pyrnn.GRU(3, 5), pyrnn.GRU(5, 2, batch_first=True)), {}, "with and without batch_first"),
        (nn.Sequential(pyrnn.GRU(3, 5), nn.Linear(4, 2)), {}, "takes 4 inputs, GRU(3, 5) before it gives 5"),
        (nn.Sequential(nn.Dropout()), {}, "no layer that computes anything"),
        (pyrnn.GRU(3, 5, dtype=np.float64), {}, "is of float64"),
        (pyrnn.GRU(3, 5).quantize("int8"), {}, "quantized already"),
        (with_nan(), {}, "infinite or NaN"),
        (nn.Linear(3, 5), {"profile": "int8"}, "no RNN, LSTM or GRU"),
        (nn.Linear(3, 5), {"profile": "int4"}, "profile should be 'float32' or 'int8' or 'int16', got 'int4'"),
        (nn.Linear(3, 5), {"test_steps": 0}, "test_steps must be greater than zero"),
        (nn.Linear(3, 5), {"name": "2nd"}, "name should be one that C takes"),
        (nn.Linear(3, 5), {"data": np.zeros((7, 4), np.float32)}, "sequences of 3 inputs"),
        (nn.Linear(3, 5), {"data": np.full((7, 3), np.inf, np.float32)}, "an infinity or a NaN"),
    ],
)
def test_a_network_that_cannot_be_exported_is_refused(
    tmp_path: Path, model: pyrnn.Module, options: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        export.c(model, **{"name": "vad", "directory": tmp_path / "out", **options})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (np.zeros(3), None),
        (nn.Linear(3, 5), [1.0]),
        (nn.Linear(3, 5), np.zeros((2, 3), int)),
        (nn.Embedding(3, 5), np.zeros((2, 3))),
    ],
)
def test_arguments_of_other_types_are_refused(tmp_path: Path, model: object, data: object) -> None:
    with pytest.raises(TypeError, match=r"should be"):
        export.c(model, "vad", tmp_path, data)


# -- the command -------------------------------------------------------------------------------------------


def test_the_command_writes_what_the_function_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = network()
    model.save(tmp_path / "model.safetensors")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((2, 30, 3)))
    options = ["--name", "vad", "-o", tmp_path / "out", "--profile", "int8", "--data", tmp_path / "x.npy"]
    assert call("export-c", tmp_path / "model.safetensors", *options) == 0
    report = export.c(model, "vad", tmp_path / "again", np.load(tmp_path / "x.npy"), "int8")
    assert capsys.readouterr().out == f"{report}\n"
    for file in ("vad.h", "vad.c", "vad_test.c"):
        assert (tmp_path / "out" / file).read_text() == (tmp_path / "again" / file).read_text()


def test_the_command_takes_a_state_dict_of_torch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gru = pyrnn.GRU(3, 5, seed=0)
    pyrnn.save_state_dict({f"rnn.{name}": value for name, value in gru.state_dict().items()}, tmp_path / "gru.pt")
    assert call("export-c", tmp_path / "gru.pt", "--name", "vad", "-o", tmp_path, "--prefix", "rnn.") == 0
    assert "vad: GRU(3, 5); profile float32" in capsys.readouterr().out
    compiled_test(tmp_path)


def test_the_command_refuses_by_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nn.Sequential(pyrnn.GRU(3, 5, bidirectional=True)).save(tmp_path / "model.safetensors")
    assert call("export-c", tmp_path / "model.safetensors", "--name", "vad", "-o", tmp_path / "out") == 2
    assert "layer '0', GRU, is bidirectional" in capsys.readouterr().err
