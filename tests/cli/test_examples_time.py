"""The examples forecast, counting, gradients and seq2seq learn as they say and print what they measured."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rich")

import numpy as np

from examples import counting, forecast, gradients, seq2seq
from examples._prices import load_prices
from pyrnn.checks.arrays import Array
from pyrnn.core.module import Module
from pyrnn.forecast import Outcome, Scores
from pyrnn.forecast.series import best_period
from pyrnn.train import cross_entropy

PNG = b"\x89PNG\r\n\x1a\n"


# -- forecast ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Outcome], Path]:
    folder = tmp_path_factory.mktemp("forecast")
    return forecast.main(folder, traffic_epochs=2, rows=5000), folder


def plain_scores(truth: list[float], said: list[float], last: list[float]) -> Scores:
    """Computes the five figures by their definitions in a plain loop."""
    squares = sum((s - t) ** 2 for s, t in zip(said, truth, strict=True))
    mean = sum(truth) / len(truth)
    moved = [(t - now, s - now) for t, s, now in zip(truth, said, last, strict=True) if t != now]
    return Scores(
        rmse=math.sqrt(squares / len(truth)),
        mae=sum(abs(s - t) for s, t in zip(said, truth, strict=True)) / len(truth),
        mape=sum(abs((s - t) / t) for s, t in zip(said, truth, strict=True)) / len(truth),
        r2=1 - squares / sum((t - mean) ** 2 for t in truth),
        direction=sum(t * s > 0 for t, s in moved) / len(moved) if any(s for _, s in moved) else None,
    )


def assert_same(found: Scores, expected: Scores) -> None:
    # 1e-9: sums of up to 17,000 float64 in another order.
    for value, other in zip(found, expected, strict=True):
        assert value == (None if other is None else pytest.approx(other, rel=1e-9))


def test_the_price_baselines_are_those_of_a_plain_loop(example: tuple[dict[str, Outcome], Path]) -> None:
    price = load_prices()["adj_close"].tolist()
    days = range(int(0.85 * len(price)), len(price))
    truth, last = [price[day] for day in days], [price[day - 1] for day in days]
    for window in (2, 4, 8):
        found = example[0][f"price-{window}"].scores
        mean = [sum(price[day - window : day]) / window for day in days]
        for name, said in (("last value", last), (f"mean of the last {window}", mean)):
            assert_same(found[name], plain_scores(truth, said, last))


def test_the_traffic_baselines_are_those_of_a_plain_loop(example: tuple[dict[str, Outcome], Path]) -> None:
    volume = forecast.traffic()[0][:5000].tolist()
    pairs = [(start, start + k) for start in range(int(0.85 * 5000), 5000 - 23) for k in range(24)]
    truth, last = [volume[row] for _, row in pairs], [volume[start - 1] for start, _ in pairs]
    week = [volume[row - 168] for _, row in pairs]
    found = example[0]["traffic"].scores
    assert_same(found["168 rows before"], plain_scores(truth, week, last))
    assert_same(found["last value"], plain_scores(truth, last, last))


def test_training_lowers_the_error_and_the_loss_of_every_model(example: tuple[dict[str, Outcome], Path]) -> None:
    for name, outcome in example[0].items():
        assert outcome.scores["model"].rmse < outcome.untrained.rmse, name
        assert outcome.history.train_loss[-1] < outcome.history.train_loss[0], name


def test_the_printed_scores_are_those_that_were_measured(
    example: tuple[dict[str, Outcome], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = forecast.main(price_epochs=1, traffic_epochs=1, rows=2000)["price-4"]
    printed = capsys.readouterr().out
    part = printed[printed.index("price-4") : printed.index("price-8")]
    for name, row in {**outcome.scores, "untrained": outcome.untrained}.items():
        cells = [cell.strip() for cell in re.search(rf"│ {name} +│(.*)│", part)[1].split("│")]
        assert cells[0] == f"{row.rmse:.4g}"
        assert cells[3] == f"{row.r2:.4f}"
        assert cells[4] == ("–" if row.direction is None else f"{row.direction:.1%}")


def test_the_forecast_example_writes_a_picture_of_each_model(example: tuple[dict[str, Outcome], Path]) -> None:
    assert {path.name for path in example[1].iterdir()} == {f"{name}.png" for name in example[0]}
    for path in example[1].iterdir():
        assert path.read_bytes().startswith(PNG)
        assert path.stat().st_size > 20_000


def test_traffic_repeats_after_a_week_and_its_clock_begins_on_monday() -> None:
    volume, others = forecast.traffic()
    assert best_period(volume[: int(0.7 * len(volume))], 24) == 168
    assert others.shape == (len(volume), 5)
    # Monday at midnight begins a week and a day; a clock that ran backwards or started elsewhere would fail here.
    np.testing.assert_allclose(others[48, 1:], [0, 0, 1, 1], atol=1e-12)  # rounding of sin(2 pi n)
    np.testing.assert_allclose(others[48 + 6, 1:3], [1, np.sin(2 * np.pi * 6 / 168)], atol=1e-12)


# -- counting ----------------------------------------------------------------------------------------------


def test_the_counter_says_7_after_1_to_6() -> None:
    model = counting.main()
    assert model.predict(range(1, 7)) == pytest.approx(7, abs=0.2)
    for end in range(1, 10):
        assert model.predict(range(1, end + 1)) == pytest.approx(end + 1, abs=0.2)
    assert abs(counting.Counter(seed=0).predict(range(1, 7)) - 7) > 1


def counting_loss() -> tuple[Module, Callable[[], tuple[float, dict[str, Array]]]]:
    model = counting.Counter(seed=1)
    return model, lambda: model.gradients([1, 2, 3, 4, 5])


def speaking_loss() -> tuple[Module, Callable[[], tuple[float, dict[str, Array]]]]:
    model = seq2seq.Speaker(42, 8, seed=1)
    x = np.random.default_rng(0).integers(1, 27, (3, 15))

    def loss() -> tuple[float, dict[str, Array]]:
        logits, _, pullback = model.vjp(x)
        value, gradient = cross_entropy(logits, x[:, 7:], dim=-1)
        return value, pullback(gradient).parameters

    return model, loss


@pytest.mark.parametrize("made", [counting_loss, speaking_loss])
def test_the_composed_gradients_are_the_slopes_of_the_loss(made: Callable[[], Any]) -> None:
    model, loss = made()
    _, found = loss()
    values, step = model.state_dict(), 1e-2
    assert found.keys() == values.keys()
    for name, value in values.items():
        direction = found[name] / np.linalg.norm(found[name])
        sides = []
        for sign in (1, -1):
            model.load_state_dict({**values, name: value + sign * step * direction})
            sides.append(loss()[0])
        # 1e-4 is a rounding error of 1e-6 in float32, divided by 0.02; 1 % is the next term of the series.
        slope = (sides[0] - sides[1]) / (2 * step)
        assert slope == pytest.approx(np.linalg.norm(found[name]), rel=1e-2, abs=1e-4), name
        model.load_state_dict(values)


# -- gradients ---------------------------------------------------------------------------------------------


def test_the_gates_keep_the_gradient_that_an_rnn_loses(tmp_path: Path) -> None:
    norms = gradients.main(tmp_path)
    first = {name: norm[0] for name, norm in norms.items()}
    assert all(norm[-1] == 1 and len(norm) == 100 for norm in norms.values())
    assert first["RNN"] < 1e-20
    assert first["LSTM"] > 1e3 * first["RNN"]
    assert first["GRU"] > 1e3 * first["RNN"]
    assert min(first["LSTM, open"], first["GRU, open"]) > 0.01
    assert (tmp_path / "gradients.png").read_bytes().startswith(PNG)


# -- seq2seq -----------------------------------------------------------------------------------------------


def test_the_words_are_those_of_the_dictionary() -> None:
    words, phonemes, letters, sounds = seq2seq.load()
    row = words.index("hello")
    assert "".join(seq2seq.LETTERS[i] for i in letters[row]) == "--hello"
    assert [phonemes[i] for i in sounds[row]] == ["HH", "AH", "L", "OW", ">", "", "", ""]
    assert len(words) == len(set(words)) > 60_000


@pytest.mark.slow
def test_seq2seq_says_some_new_words_right_after_a_short_training() -> None:
    nothing_learnt = seq2seq.main(epochs=1, hidden=16, words=300)
    words, phonemes = seq2seq.main(epochs=1, hidden=64)
    assert nothing_learnt[0] == 0
    # Measured: 17.5 % of the words and 59.6 % of the phonemes, far above chance.
    assert words > 1 / 8
    assert phonemes > 1 / 2


def test_greedy_decoding_equals_teacher_forcing_on_its_own_words() -> None:
    model = seq2seq.Speaker(42, 16, seed=0)
    letters = seq2seq.load()[2][:20]
    said = model.say(letters)
    before = np.concatenate([np.full((20, 1), seq2seq.START), said[:, :-1]], axis=1)
    logits = model(np.concatenate([letters, before], axis=1))
    counted = said != seq2seq.PAD
    np.testing.assert_array_equal(logits.argmax(axis=-1)[counted], said[counted])
