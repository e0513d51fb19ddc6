"""Wrong lengths, masks, resets and checkpoints are refused with a sentence, by a call, vjp and trace alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyrnn

T, B, I, H = 4, 2, 3, 5  # noqa: E741


def zeros(*shape: int, dtype: Any = np.float32) -> Any:
    return np.zeros(shape, dtype)


def flags(*shape: int) -> Any:
    return np.ones(shape, bool)


def state(*shape: int, dtype: Any = np.float32) -> Any:
    return zeros(*shape, dtype=dtype), zeros(*shape, dtype=dtype)


def refuses(kind: Any, sentence: str, layer: Any, x: Any, **options: Any) -> None:
    for method in (layer, layer.vjp, layer.trace):
        with pytest.raises(kind, match=sentence):
            method(x, **options)
    layer(x)


LENGTHS: dict[str, tuple[Any, str]] = {
    "longer-than-T": ([2, 5], r"lengths should be from 0 to 4, the number of steps of the input, got 5"),
    "far-too-long": ([2**62, 1], r"from 0 to 4.*got 4611686018427387904"),
    "negative": ([-1, 4], r"lengths should be from 0 to 4.*got -1"),
    "too-few": ([4], r"one length for each of the 2 sequences, got shape \(1,\)"),
    "too-many": ([4, 4, 4], r"one length for each of the 2 sequences, got shape \(3,\)"),
    "none": ([], r"one length for each of the 2 sequences, got shape \(0,\)"),
    "a-scalar": (4, r"one length for each of the 2 sequences, got shape \(\)"),
    "2-D": ([[4, 4]], r"one length for each of the 2 sequences, got shape \(1, 2\)"),
    "floats": ([4.0, 2.0], r"lengths should be integers, got dtype float64"),
    "booleans": ([True, True], r"lengths should be integers, got dtype bool"),
    "strings": (["4", "2"], r"lengths should be integers, got dtype <U1"),
    "objects": (np.array([4, None]), r"lengths should be integers, got dtype object"),
}


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("case", LENGTHS)
def test_wrong_lengths_are_refused(case: str, batch_first: bool) -> None:
    lengths, sentence = LENGTHS[case]
    layer = pyrnn.LSTM(I, H, 2, bidirectional=True, batch_first=batch_first)
    refuses(ValueError, sentence, layer, zeros(B, T, I) if batch_first else zeros(T, B, I), lengths=lengths)


@pytest.mark.parametrize("lengths", [[2, 2], [[2]], 2.0, 5, -1], ids=repr)
def test_wrong_lengths_of_one_sequence_are_refused(lengths: Any) -> None:
    refuses(ValueError, "lengths should", pyrnn.GRU(I, H), zeros(T, I), lengths=lengths)


FLAGS: dict[str, tuple[Any, Any, str]] = {
    "batch-first-of-time-first": (flags(B, T), ValueError, r"should have the shape \(4, 2\) .* got \(2, 4\)"),
    "one-axis": (flags(T), ValueError, r"should have the shape \(4, 2\) .* got \(4\)"),
    "three-axes": (flags(T, B, 1), ValueError, r"should have the shape \(4, 2\) .* got \(4, 2, 1\)"),
    "too-many-steps": (flags(T + 1, B), ValueError, r"should have the shape \(4, 2\) .* got \(5, 2\)"),
    "no-axis": (np.array(True), ValueError, r"should have the shape \(4, 2\) .* got \(\)"),
    "integers": (np.ones((T, B), int), ValueError, r"should be an array of bool, got dtype int64"),
    "bytes": (np.ones((T, B), np.uint8), ValueError, r"should be an array of bool, got dtype uint8"),
    "floats": (zeros(T, B), ValueError, r"should be an array of bool, got dtype float32"),
    "list": ([[True] * B] * T, TypeError, r"should be a NumPy array, got list"),
    "a-bool": (True, TypeError, r"should be a NumPy array, got bool"),
}


@pytest.mark.parametrize("name", ["mask", "reset"])
@pytest.mark.parametrize("case", FLAGS)
def test_wrong_masks_and_resets_are_refused(case: str, name: str) -> None:
    value, kind, sentence = FLAGS[case]
    for options in ({}, {"lengths": [4, 2]}):
        refuses(kind, f"^{name} {sentence}", pyrnn.GRU(I, H, 2), zeros(T, B, I), **options, **{name: value})


@pytest.mark.parametrize("name", ["mask", "reset"])
def test_flags_must_be_laid_out_as_the_input(name: str) -> None:
    layer = pyrnn.RNN(I, H, batch_first=True)
    refuses(ValueError, r"should have the shape \(2, 4\)", layer, zeros(B, T, I), **{name: flags(T, B)})
    refuses(ValueError, r"should have the shape \(4\)", layer, zeros(T, I), **{name: flags(T, 1)})


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_a_bidirectional_layer_refuses_a_reset(name: str) -> None:
    layer = getattr(pyrnn, name)(I, H, bidirectional=True)
    sentence = "reset is not possible in a bidirectional layer: its reverse direction"
    refuses(ValueError, sentence, layer, zeros(T, B, I), reset=flags(T, B))


RESET_STATES: dict[str, tuple[Any, Any, str]] = {
    "wrong-batch": (state(1, 3, H), RuntimeError, r"Expected hidden\[0\] size \(1, 2, 5\), got \[1, 3, 5\]"),
    "wrong-width": ((zeros(1, B, H), zeros(1, B, 6)), RuntimeError, r"Expected hidden\[1\] size \(1, 2, 5\)"),
    "one-row": (state(1, H), RuntimeError, r"should also be 3-D"),
    "other-precision": (state(1, B, H, dtype=np.float64), ValueError, r"reset_state dtype \(float64\)"),
    "h-alone": (zeros(1, B, H), TypeError, r"reset_state should be a pair \(h, c\)"),
    "three-parts": ((zeros(1, B, H),) * 3, TypeError, r"reset_state should be a pair \(h, c\).*got 3 parts"),
    "lists": (([0.0], [0.0]), TypeError, r"reset_state should be made of NumPy arrays, got list"),
    "none-for-c": ((zeros(1, B, H), None), (TypeError, ValueError), r"reset_state should be .* got None in it"),
    "none-for-h": ((None, zeros(1, B, H)), (TypeError, ValueError), r"reset_state should be .* got None in it"),
}


@pytest.mark.parametrize("case", RESET_STATES)
def test_a_wrong_reset_state_is_refused(case: str) -> None:
    value, kind, sentence = RESET_STATES[case]
    refuses(kind, sentence, pyrnn.LSTM(I, H), zeros(T, B, I), reset=flags(T, B), reset_state=value)


def test_a_reset_state_without_reset_is_refused() -> None:
    sentence = "reset_state is given without reset"
    refuses(ValueError, sentence, pyrnn.LSTM(I, H), zeros(T, B, I), reset_state=state(1, B, H))


@pytest.mark.parametrize("value", ["keep", "", None, True, ["zero"]], ids=repr)
def test_an_unknown_masked_output_is_refused(value: Any) -> None:
    sentence = 'masked_output should be "zero" or "hold", got '
    refuses(ValueError, sentence, pyrnn.GRU(I, H), zeros(T, B, I), masked_output=value)


@pytest.mark.parametrize(
    ("value", "kind", "sentence"),
    [
        (0, ValueError, "checkpoint must be greater than zero, got 0"),
        (-3, ValueError, "checkpoint must be greater than zero, got -3"),
        (2.0, TypeError, "checkpoint should be of type int, got: float"),
        ("2", TypeError, "checkpoint should be of type int, got: str"),
    ],
)
def test_a_checkpoint_that_is_no_positive_integer_is_refused(value: Any, kind: Any, sentence: str) -> None:
    with pytest.raises(kind, match=sentence):
        pyrnn.GRU(I, H).vjp(zeros(T, B, I), checkpoint=value)


def test_trace_refuses_options_that_it_does_not_take() -> None:
    for option in ("return_states", "checkpoint", "length"):
        with pytest.raises(TypeError, match=f"trace.*'{option}'"):
            pyrnn.LSTM(I, H).trace(zeros(T, B, I), **{option: 1})


def test_a_wrong_input_is_told_before_wrong_options() -> None:
    layer: Any = pyrnn.GRU(I, H)
    with pytest.raises(TypeError, match="input should be a NumPy array, got list"):
        layer([[1.0]], lengths=[1])
    with pytest.raises(ValueError, match="Expected input to be 2D or 3D, got 1D"):
        layer(zeros(3), lengths=[1])
