"""The C library has the bits of Python on every instruction set; each C program beside this file checks a promise."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

import numpy as np
import one_hash
from capi_models import AHEAD, ALONE, INDEXED, MODELS, SEED, saved
from capi_programs import EXAMPLES, PROGRAMS, compiled, run
from capi_refusals import REFUSED
from other_files import OTHERS

import pyrnn
from pyrnn import _core, nn
from pyrnn.cli import c_library

T, B = 60, 3


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiles the programs, and returns the folder that has them by name."""
    folder = tmp_path_factory.mktemp("capi")
    flags = shlex.split(f"{c_library.cflags()} {c_library.libs()} -pthread -ldl -lm")
    for source in [*PROGRAMS.glob("*.c*"), *EXAMPLES.glob("*.c*")]:
        compiled(source, folder, *flags)
    return folder


def draws(*shape: int) -> Any:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def in_python(model: nn.Sequential, x: Any) -> Any:
    """The outputs of a model for x [T,B,*]; a model with a Conv1d or Embedding gets its arrays batch first."""
    layers = [layer for _, layer in model.named_modules()]
    if any(isinstance(layer, (nn.ChannelsLast, nn.Embedding)) for layer in layers):
        return model(x.swapaxes(0, 1)).swapaxes(0, 1)
    return model(x)


def outputs_of(programs: Path, how: str, x: Any, model: Path, isa: str = "") -> Any:
    """The flat outputs for x [T,B,*], by a "stream" or by "whole" sequences."""
    folder = model.parent
    x.tofile(folder / "x")
    run(programs / "outputs", how, x.shape[1], folder / "x", folder / "y", model, isa=isa)
    return np.fromfile(folder / "y", np.float32)


@pytest.mark.parametrize("isa", _core.available_isas())
@pytest.mark.parametrize("name", MODELS)
def test_the_outputs_are_those_of_python_to_the_last_bit(name: str, isa: str, programs: Path, tmp_path: Path) -> None:
    model, path = saved(name, tmp_path)
    expected = in_python(model, draws(T, B, 3))
    for how in ("stream", "whole"):
        assert (outputs_of(programs, how, draws(T, B, 3), path, isa) == expected.reshape(-1)).all()


@pytest.mark.parametrize("name", ALONE)
def test_a_layer_saved_alone_has_the_outputs_of_python(name: str, programs: Path, tmp_path: Path) -> None:
    layer, path = ALONE[name]().eval(), tmp_path / "model.safetensors"
    layer.save(path)
    expected = in_python(nn.Sequential(layer), draws(T, B, 3))
    for how in ("stream", "whole") if name != "bidirectional" else ("whole",):
        assert (outputs_of(programs, how, draws(T, B, 3), path) == expected.reshape(-1)).all()


@pytest.mark.parametrize("name", INDEXED)
def test_indices_given_as_floats_give_the_outputs_of_python(name: str, programs: Path, tmp_path: Path) -> None:
    model, path = saved(name, tmp_path)
    x = np.random.default_rng(3).integers(0, 7, (T, B))
    x[: T // 4, 0] = 0
    expected = in_python(model, x)
    for how in ("stream", "whole"):
        assert (outputs_of(programs, how, x.astype(np.float32), path) == expected.reshape(-1)).all()


def test_a_number_that_is_no_index_is_refused_and_changes_nothing(programs: Path, tmp_path: Path) -> None:
    run(programs / "indices", saved("Embedding", tmp_path)[1])


@pytest.mark.parametrize("name", AHEAD)
def test_a_model_that_looks_ahead_runs_on_whole_sequences_alone(name: str, programs: Path, tmp_path: Path) -> None:
    model, path = saved(name, tmp_path)
    expected = in_python(model, draws(T, B, 3))
    assert (outputs_of(programs, "whole", draws(T, B, 3), path) == expected.reshape(-1)).all()
    printed = run(programs / "ahead", path)
    assert re.match(r"PYRNN_UNSUPPORTED: pyrnn_stream_new: the model has a .*; pyrnn_model_run takes whole", printed)


@pytest.mark.parametrize("masks", [False, True])
def test_a_stream_gives_the_last_step_of_the_sequence_so_far(masks: bool, programs: Path, tmp_path: Path) -> None:
    model = nn.Sequential(
        nn.Embedding(7, 5, mask_zero=masks, **SEED), pyrnn.GRU(5, 6, batch_first=True, **SEED),
        nn.LastStep(batch_first=True), nn.Linear(6, 3, **SEED), nn.Softmax(1),
    ).eval()  # fmt: skip
    model.save(tmp_path / "model.safetensors")
    x = np.random.default_rng(3).integers(0, 3, (T, B))
    x[:5, 1] = 0
    expected = np.stack([model(x[: t + 1].T) for t in range(T)])
    found = outputs_of(programs, "stream", x.astype(np.float32), tmp_path / "model.safetensors")
    assert (found == expected.reshape(-1)).all()


@pytest.mark.parametrize("isa", _core.available_isas())
@pytest.mark.parametrize("network", one_hash.NETWORKS)
def test_ten_thousand_steps_have_the_hash_of_python(network: str, isa: str, programs: Path, tmp_path: Path) -> None:
    layer = one_hash.NETWORKS[network][1]
    nn.Sequential(layer).save(tmp_path / "model.safetensors")
    expected = one_hash.written(layer(one_hash.inputs_of(layer))[0])
    printed = run(programs / "hash", one_hash.STEPS, tmp_path / "model.safetensors", isa=isa)
    assert printed.split() == [isa, expected]


@pytest.mark.parametrize("isa", _core.available_isas())
@pytest.mark.parametrize(
    "program", ["null", "reset", "clone", "split", "threads", "hostile", "memory", "sizes", "wrapper"]
)
def test_each_c_program_finds_its_promise_kept(program: str, isa: str, programs: Path, tmp_path: Path) -> None:
    run(programs / program, saved("chain", tmp_path)[1], isa=isa)


@pytest.mark.parametrize("isa", _core.available_isas())
@pytest.mark.parametrize("name", ["chain", "GRU", "Linear without bias"])
def test_the_callers_floating_point_mode_changes_no_bit(name: str, isa: str, programs: Path, tmp_path: Path) -> None:
    run(programs / "modes", saved(name, tmp_path)[1], isa=isa)


@pytest.mark.parametrize("name", ["RNN without biases", "LSTM without biases", "GRU without biases"])
def test_silence_decays_to_zero_and_past_all_subnormals(name: str, programs: Path, tmp_path: Path) -> None:
    run(programs / "decay", saved(name, tmp_path)[1])


# Each runs a million steps, except the wide one, which takes longer.
@pytest.mark.parametrize(
    ("name", "steps"),
    [("GRU, hard", 10**6), ("chain", 10**6), ("LSTM, projected, with peepholes", 10**6), ("wide GRU", 25_000)],
)
def test_calls_make_no_system_call_and_take_neither_memory_nor_a_lock(
    name: str, steps: int, programs: Path, tmp_path: Path
) -> None:
    run(programs / "noalloc", steps, saved(name, tmp_path)[1])


def test_statuses_have_names_and_versions_agree(programs: Path) -> None:
    assert run(programs / "names").strip() == pyrnn.__version__


def last_number(printed: str) -> np.float32:
    return np.float32(printed.split()[-1])  # nine digits determine a float32


def test_the_audio_example_adds_what_the_model_makes_of_the_sound(programs: Path, tmp_path: Path) -> None:
    model = nn.Sequential(pyrnn.LSTM(1, 40, **SEED), nn.Linear(40, 1, **SEED))
    model.save(tmp_path / "model.safetensors")
    x = (np.arange(20 * 64) * 220 % 48000).astype(np.float32) / np.float32(48000) - np.float32(0.5)
    y = model(x.reshape(-1, 1, 1)).reshape(-1) + x
    assert last_number(run(programs / "audio", tmp_path / "model.safetensors", 20)) == y[-1]


def test_the_latency_program_prints_a_line_for_each_kind_of_call(programs: Path, tmp_path: Path) -> None:
    nn.Sequential(pyrnn.LSTM(1, 4, **SEED), nn.Linear(4, 1, **SEED)).save(tmp_path / "model.safetensors")
    lines = run(programs / "latency", tmp_path / "model.safetensors", 100).splitlines()
    assert [line.split()[0] for line in lines] == ["audio", "empty", "least"]


def test_the_server_example_gives_each_session_a_state_of_its_own(programs: Path, tmp_path: Path) -> None:
    gru, ticks, session = pyrnn.GRU(2, 8, **SEED), 120, 999  # the last one is printed
    nn.Sequential(gru).save(tmp_path / "model.safetensors")
    starts, left = np.zeros((ticks, 1), bool), 0
    for time in range(ticks):
        starts[time] = left == 0
        left = (left or 1 + (session * 7 + time) % 50) - 1
    assert 1 < starts.sum() < ticks
    times, inputs = np.arange(ticks)[:, None], np.arange(2)
    x = ((session * 31 + inputs * 17 + times * 13) % 64 / 32 - 1).astype(np.float32)[:, None]
    printed = run(programs / "server", tmp_path / "model.safetensors", ticks)
    assert last_number(printed) == gru(x, reset=starts)[0][-1, 0, -1]


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_the_c_library_cannot_load_is_refused_with_a_sentence(
    name: str, programs: Path, tmp_path: Path
) -> None:
    write, expected = REFUSED[name]
    write(tmp_path / "model.safetensors")
    assert re.match(f"PYRNN_{expected}", run(programs / "refusal", tmp_path / "model.safetensors"))


@pytest.mark.parametrize("kind", OTHERS)
def test_a_file_that_pyrnn_load_refuses_gets_no_advice_to_use_it(kind: str, programs: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(OTHERS[kind][0])
    said = run(programs / "refusal", path)
    assert said.startswith("PYRNN_INVALID_FILE")
    assert "load it in Python with pyrnn.load" not in said
