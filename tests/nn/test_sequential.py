"""Sequential runs its layers in order, by name, with masks, in both modes; summary, training and dropout are right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nn_samples import F64, Array, draws

import pyrnn
from pyrnn import nn
from pyrnn.train import Adam, cross_entropy, fit, mse_loss


def test_layers_are_found_by_place_and_by_name() -> None:
    linear, tanh = nn.Linear(2, 3), nn.Tanh()
    model = nn.Sequential({"in": linear, "squash": tanh})
    assert len(model) == 2
    assert list(model) == [linear, tanh]
    assert model[0] is model["in"] is linear
    assert model[-1] is model.squash is tanh
    assert list(model.parameters()) == ["in.weight", "in.bias"]
    assert list(nn.Sequential(tanh, linear).state_dict()) == ["1.weight", "1.bias"]


TANH = nn.Tanh()
BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "no module": (lambda: nn.Sequential(np.tanh), TypeError, "layer '0' should be a pyrnn Module, got ufunc"),
    "dot": (lambda: nn.Sequential({"a.b": nn.ReLU()}), ValueError, r"cannot be named 'a\.b'"),
    "taken": (lambda: nn.Sequential({"predict": nn.ReLU()}), ValueError, "cannot be named 'predict'"),
    "twice": (lambda: nn.Sequential(TANH, nn.Sequential(TANH)), ValueError, "a layer stands twice"),
    "batch_size": (lambda: nn.Sequential(nn.ReLU()).predict(draws(2, 3), 0), ValueError, "greater than zero, got 0"),
    "batch_axis": (lambda: nn.Sequential(nn.ReLU()).predict(draws(2), batch_axis=1), ValueError, "an axis 1"),
    "summary": (lambda: nn.Sequential(nn.ReLU()).summary((2.5,)), ValueError, "should hold sizes, or None"),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_arguments_are_refused_with_what_was_expected(case: str) -> None:
    call, error, sentence = BAD[case]
    with pytest.raises(error, match=sentence):
        call()


def test_an_error_names_the_layer() -> None:
    model = nn.Sequential(nn.ReLU(), nn.Linear(2, 3, **F64))
    for call in (model, model.vjp, model.predict):
        with pytest.raises(ValueError, match=r"\(\*, 2\), got \(4, 3\)") as caught:
            call(draws(4, 3))
        assert caught.value.__notes__ == ["in layer '1' of the Sequential, Linear"]


# -- masks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [pyrnn.RNN, pyrnn.LSTM, pyrnn.GRU])
@pytest.mark.parametrize("batch_first", [True, False])
def test_a_mask_travels_to_the_layers_that_heed_it(cell: Any, batch_first: bool) -> None:
    """Sequences with masked steps have the same last output as the sequences without these steps."""
    words = np.array([[0, 3, 0, 1, 2, 0], [4, 0, 5, 1, 0, 2]])
    model = nn.Sequential(
        nn.Embedding(6, 3, mask_zero=True, **F64),
        nn.Dropout(0.0),
        cell(3, 4, batch_first=batch_first, **F64),
        nn.Tanh(),
        nn.Sequential(nn.Bidirectional(cell(4, 4, batch_first=batch_first, **F64), seed=2)),
        nn.LastStep(batch_first=batch_first),
        nn.Linear(8, 2, **F64),
    )
    whole = model(words if batch_first else words.T)
    for row, sequence in enumerate(words):
        short = sequence[sequence != 0][None]
        np.testing.assert_array_equal(model(short if batch_first else short.T)[0], whole[row])


def test_the_mask_turns_with_reverse() -> None:
    x = draws(2, 5, 3)
    x[0, :2] = x[1, 1] = 7.0
    model = nn.Sequential(
        nn.Masking(7.0), nn.Reverse(batch_first=True), pyrnn.GRU(3, 4, batch_first=True, **F64), nn.LastStep(True)
    )
    gru = model[2]
    expected = [gru(np.ascontiguousarray(row[(row != 7.0).any(1)][None, ::-1]))[1][0, 0] for row in x]
    np.testing.assert_array_equal(model(x), expected)


class Seen(nn.LastStep):
    """A LastStep that records the mask that it gets."""

    def _masked(self, input: Array, mask: Array | None) -> Any:
        object.__setattr__(self, "mask", mask)
        return super()._masked(input, mask)


GRU = pyrnn.GRU(3, 3, batch_first=True, **F64)


@pytest.mark.parametrize(
    ("between", "ended"),
    [
        ([nn.Tanh(), nn.LayerNorm(3, dtype=np.float64), nn.Linear(3, 3, **F64), GRU], False),
        ([nn.ChannelsLast(nn.BatchNorm1d(3, dtype=np.float64)), nn.SpatialDropout1D(batch_first=True)], False),
        ([nn.Bidirectional(GRU, seed=0)], False),
        ([nn.LastStep(batch_first=True), nn.RepeatVector(4, batch_first=True)], True),
        ([nn.Bidirectional(GRU, return_sequences=False, seed=0), nn.RepeatVector(4, batch_first=True)], True),
        ([nn.Flatten(), nn.Reshape((5, 3))], True),
        ([nn.Permute((0, 1, 2))], True),
        ([nn.ChannelsLast(nn.Conv1d(3, 2, 3, **F64))], True),
    ],
)
def test_a_mask_ends_where_a_layer_moves_or_joins_the_steps(between: list[Any], ended: bool) -> None:
    mask = np.array([[0, 1, 1, 0, 1], [1, 1, 0, 0, 0]], bool)
    last = Seen(batch_first=True)
    model = nn.Sequential(*between, last)
    for call in (model, model.vjp):
        call(draws(2, 5, 3), mask=mask)
        assert (last.mask is None) == ended
        if not ended:
            np.testing.assert_array_equal(last.mask, mask)


def test_a_layer_s_masked_output_is_the_default_of_its_call() -> None:
    x, mask = draws(4, 1, 3), np.array([[1], [0], [1], [0]], bool)
    hold, zero = pyrnn.GRU(3, 4, masked_output="hold", **F64), pyrnn.GRU(3, 4, **F64)
    np.testing.assert_array_equal(hold(x, mask=mask)[0], zero(x, mask=mask, masked_output="hold")[0])
    np.testing.assert_array_equal(hold(x, mask=mask, masked_output="zero")[0], zero(x, mask=mask)[0])
    assert hold(x, mask=mask)[0][1].any()
    assert not zero(x, mask=mask)[0][1].any()
    with pytest.raises(ValueError, match='"zero" or "hold", got \'keep\''):
        pyrnn.RNN(3, 4, masked_output="keep")


def test_heads_without_an_active_step_give_zeros() -> None:
    x, mask = draws(5, 2, 3), np.zeros((5, 2), bool)
    mask[1, 0] = True
    for head in (nn.LastStep(), nn.GlobalAveragePool1d(), nn.GlobalMaxPool1d()):
        np.testing.assert_array_equal(head(x, mask=mask), [x[1, 0], np.zeros(3)])


def test_masked_steps_are_zero_and_have_no_gradient() -> None:
    x = draws(2, 5, 3)
    x[0, 1] = x[1, 4] = 0.1
    x[1, 2, 0] = 0.1
    kept = np.ones((2, 5, 3))
    kept[0, 1] = kept[1, 4] = 0
    for dtype in (np.float32, np.float64):  # 0.1 is another number in each
        y, _, pullback = nn.Masking(0.1).vjp(x.astype(dtype))
        np.testing.assert_array_equal(y, (x * kept).astype(dtype))
        np.testing.assert_array_equal(pullback(np.ones_like(y)).input, kept)


def test_words_have_no_gradient_whatever_moves_them_about() -> None:
    words, turned = np.array([[1, 2, 3]]), nn.Sequential(nn.Reverse(True), nn.Embedding(6, 3, padding_idx=3, **F64))
    y, _, pullback = turned.vjp(words)
    found = pullback(np.ones_like(y))
    assert found.input is None
    np.testing.assert_array_equal(found.parameters["1.weight"], [[0] * 3, [1] * 3, [1] * 3, [0] * 3, [0] * 3, [0] * 3])
    np.testing.assert_array_equal(y[0, 0], np.zeros(3))


def test_a_pool_may_ignore_the_mask() -> None:
    x, mask = draws(5, 2, 3), np.zeros((5, 2), bool)
    np.testing.assert_array_equal(nn.GlobalMaxPool1d(masked=False)(x, mask=mask), x.max(0))


# -- modes and the summary ---------------------------------------------------------------------------------


def test_predict_runs_in_evaluation_mode_and_gives_the_same_in_any_batches() -> None:
    lstm = pyrnn.LSTM(3, 4, seed=0)
    model = nn.Sequential(nn.Dropout(0.5), nn.Sequential(lstm, nn.LastStep()), nn.Linear(4, 2, seed=0))
    model[1].eval()
    x = draws(5, 7, 3).astype(np.float32)
    whole = model.predict(x, batch_axis=(1, 0))
    assert [module.training for module in (model, model[0], model[1], lstm)] == [True, True, False, False]
    assert whole.shape == (7, 2)
    for batch_size in (1, 3, 7):
        np.testing.assert_array_equal(model.predict(x, batch_size, batch_axis=(1, 0)), whole)
    assert model.predict(x[:, :0], batch_axis=(1, 0)).shape == (0, 2)
    assert (model(x) != whole).any()
    np.testing.assert_array_equal(model.eval()(x), whole)


def test_the_summary_counts_as_torch_does() -> None:
    model = nn.Sequential(
        {
            "image": nn.Conv2d(1, 4, 3, padding="same"),
            "norm": nn.BatchNorm2d(4),
            "pool": nn.MaxPool2d(2),
            "flat": nn.Flatten(),
            "out": nn.Linear(64, 10),
        }
    )
    before = model.state_dict()
    assert model.summary((None, 1, 8, 8)).splitlines() == [
        "layer                  output shape     parameters",
        "--------------------------------------------------",
        "image (Conv2d)         (None, 4, 8, 8)          40",
        "norm (BatchNorm2d)     (None, 4, 8, 8)           8",
        "pool (MaxPool2d)       (None, 4, 4, 4)           0",
        "flat (Flatten)         (None, 64)                0",
        "out (Linear)           (None, 10)              650",
        "--------------------------------------------------",
        "total                                          698",
        "buffers (not trained)                            9",
    ]
    assert model.training
    np.testing.assert_equal(model.state_dict(), before)


def test_the_summary_shows_free_lengths_as_none() -> None:
    inner = nn.Sequential(nn.Embedding(9, 2), nn.ChannelsLast(nn.Conv1d(2, 3, 4, stride=2)))
    model = nn.Sequential(inner, pyrnn.GRU(3, 5, batch_first=True, bidirectional=True), nn.LastStep(True))
    shapes = [line.split("  ")[1:] for line in model.summary((None, None)).splitlines()]
    assert "(None, None, 3)" in "  ".join(shapes[2])
    assert "(None, None, 10)" in "  ".join(shapes[3])
    assert "(None, 10)" in "  ".join(shapes[4])
    assert "(3, 4, 10)" in nn.Sequential(nn.Linear(2, 10)).summary((3, 4, 2))


# -- training ----------------------------------------------------------------------------------------------


def test_fit_learns_whether_a_word_is_there() -> None:
    random = np.random.default_rng(0)
    words = random.integers(1, 8, (200, 6))
    words[np.arange(6) >= random.integers(2, 7, (200, 1))] = 0
    targets = (words == 3).any(1).astype(np.int64)
    model = nn.Sequential(
        nn.Embedding(8, 6, mask_zero=True, seed=0),
        nn.Bidirectional(pyrnn.GRU(6, 8, batch_first=True, seed=1), return_sequences=False, seed=2),
        nn.Dropout(0.1, seed=3),
        nn.Linear(16, 2, seed=4),
    )
    history = fit(
        model,
        (words[:150], targets[:150]),
        loss=cross_entropy,
        optimizer=Adam(model, lr=0.02),
        epochs=12,
        validation=(words[150:], targets[150:]),
        seed=0,
        progress=False,
    )
    right = (model.predict(words[150:]).argmax(1) == targets[150:]).mean()
    # The commoner answer is right for 27 of 50; the task has no noise.
    assert right > 0.95
    assert history.best_loss < 0.2 < history.validation_loss[0]


def test_fit_leaves_the_statistics_of_the_best_epoch() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2, dtype=np.float64), nn.Linear(2, 1, **F64))
    x, y = draws(32, 2) + 5, draws(32, 1)
    # The learning rate is so large that every epoch is worse than the one before.
    history = fit(model, (x, y), loss=mse_loss, optimizer=Adam(model, lr=50), epochs=5, seed=0, progress=False)
    assert history.best_epoch == 1
    assert model.state_dict()["0.num_batches_tracked"] == 1


# -- dropout -----------------------------------------------------------------------------------------------


def test_dropout_zeroes_a_share_of_p_and_keeps_the_mean() -> None:
    dropout, n = nn.Dropout(0.3, seed=0), 40_000
    y = dropout(np.ones((n,)))
    assert set(np.unique(y)) == {0.0, 1 / 0.7}
    # The share is within three standard deviations of p, each sqrt(0.3 * 0.7 / n) = 0.0023; the seed is fixed.
    assert (y == 0).mean() == pytest.approx(0.3, abs=3 * np.sqrt(0.3 * 0.7 / n))
    again = nn.Dropout(0.3, seed=0)(np.ones((n,)))
    np.testing.assert_array_equal(y, again)
    assert (dropout(np.ones((n,))) != y).any()


def test_the_pullback_of_dropout_drops_what_the_call_dropped() -> None:
    y, _, pullback = nn.Dropout(0.5, seed=1).vjp(np.ones((4, 5)))
    np.testing.assert_array_equal(pullback(np.ones((4, 5))).input, y)


@pytest.mark.parametrize("batch_first", [True, False])
def test_spatial_dropout_drops_whole_channels(batch_first: bool) -> None:
    time = 1 if batch_first else 0
    y = nn.SpatialDropout1D(0.5, batch_first=batch_first, seed=0)(np.ones((6, 6, 50)))
    assert (y == y.take([0], axis=time)).all()
    channels = y.take(0, axis=time)
    assert set(np.unique(channels)) == {0.0, 2.0}
    # The share of 300 draws is within three standard deviations of 0.5; the seed is fixed.
    assert (channels == 0).mean() == pytest.approx(0.5, abs=3 * np.sqrt(0.25 / 300))
