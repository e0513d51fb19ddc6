"""Wrong keywords are refused, also with packed sequences; signature and errors of a drop-in are torch's."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from drawn import same_bytes
from drop_ins import LAYERS, pair
from keyword_calls import in_arrays
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch_close import assert_close

import pyrnn.torch as drop_in

Z, ONES = torch.zeros, torch.ones
X, FLAGS = ONES(4, 2, 3), ONES(4, 2, dtype=torch.bool)
H = Z(1, 2, 5)


def refuses(kind: Any, sentence: str, module: nn.Module, *args: Any, **keywords: Any) -> None:
    with pytest.raises(kind, match=sentence) as found:
        module(*args, **keywords)
    assert type(found.value) is kind
    assert "\n" not in str(found.value)


# -- torch's signature -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "keywords"),
    [((X, None, None), {}), ((X, None, [4, 2]), {}), ((), {}), ((X,), {"length": [4, 2]}), ((X,), {"input": X})],
    ids=["three", "lengths", "none", "unknown", "twice"],
)
@pytest.mark.parametrize("name", LAYERS)
def test_the_signature_is_torchs(name: str, args: Any, keywords: dict[str, Any]) -> None:
    messages = []
    for module in pair(name, 3, 5):
        with pytest.raises(TypeError) as found:
            module(*args, **keywords)
        messages.append(str(found.value).partition(".forward()")[2])  # "LSTM.forward()", "Layer.forward()"
    assert messages[0]
    assert messages[0] == messages[1]


@pytest.mark.parametrize("name", LAYERS)
def test_keywords_that_ask_for_nothing_change_no_bit(name: str) -> None:
    nothing = {"lengths": None, "mask": None, "masked_output": "zero", "reset": None, "reset_state": None}
    theirs, ours = pair(name, 3, 5)
    for module in (ours, ours.half(), ours.to("meta")):
        x = X.to(module.weight_ih_l0)
        found = module(input=x, hx=None, **nothing, return_states=False, checkpoint=None)
        assert found[0].shape == theirs(X)[0].shape
    _, ours = pair(name, 3, 5)
    assert same_bytes(in_arrays(ours(X)), in_arrays(ours(input=X, **nothing)))


# -- wrong keywords --------------------------------------------------------------------------------------------

LENGTHS: dict[str, tuple[Any, str]] = {
    "floats": ([4.0, 2.0], "should be integers, got torch.float32"),
    "float-tensor": (torch.tensor([4.0, 2.0]), "should be integers, got torch.float32"),
    "bools": ([True, False], "should be integers, got torch.bool"),
    "three": ([4, 2, 1], r"should hold one length for each of the 2 sequences, got shape \(3,\)"),
    "one": (4, r"should hold one length for each of the 2 sequences, got shape \(\)"),
    "matrix": ([[4, 2]], r"should hold one length for each of the 2 sequences, got shape \(1, 2\)"),
    "too-long": ([5, 2], r"should be from 0 to 4, the number of steps of the input, got \[5, 2\]"),
    "negative": (np.array([4, -1]), r"should be from 0 to 4, the number of steps of the input, got \[4, -1\]"),
}


@pytest.mark.parametrize("case", LENGTHS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_wrong_lengths_are_refused(batch_first: bool, case: str) -> None:
    lengths, sentence = LENGTHS[case]
    module = drop_in.GRU(3, 5, batch_first=batch_first)
    refuses(ValueError, f"^lengths {sentence}$", module, X.transpose(0, 1) if batch_first else X, lengths=lengths)


def test_one_length_is_taken_without_a_batch_and_two_are_refused() -> None:
    module, x = drop_in.GRU(3, 5), X[:, 0]
    for lengths in (2, [2], torch.tensor(2), np.int32(2)):
        assert same_bytes(in_arrays(module(x, lengths=lengths)), in_arrays(module(x, mask=torch.arange(4) < 2)))
    refuses(ValueError, r"^lengths should hold one length, got shape \(2,\)$", module, x, lengths=[4, 2])


WRONG_FLAGS: dict[str, tuple[Any, str]] = {
    "batch-first": (FLAGS.T, r"got torch.bool of shape \(2, 4\)"),
    "one-axis": (FLAGS[:, 0], r"got torch.bool of shape \(4,\)"),
    "scalar": (torch.tensor(True), r"got torch.bool of shape \(\)"),
    "integers": (FLAGS.int(), r"got torch.int32 of shape \(4, 2\)"),
    "floats": (FLAGS.float(), r"got torch.float32 of shape \(4, 2\)"),
    "array": (FLAGS.numpy(), "got ndarray"),
    "list": (FLAGS.tolist(), "got list"),
    "bool": (True, "got bool"),
}


@pytest.mark.parametrize("name", ["mask", "reset"])
@pytest.mark.parametrize("case", WRONG_FLAGS)
def test_wrong_masks_and_resets_are_refused(case: str, name: str) -> None:
    flags, sentence = WRONG_FLAGS[case]
    for more in ({}, {"lengths": [4, 2]}):
        expected = rf"^{name} should be a tensor of bool of shape \(4, 2\), as the input, {sentence}$"
        refuses(ValueError, expected, drop_in.GRU(3, 5), X, **more, **{name: flags})


@pytest.mark.parametrize("name", ["mask", "reset"])
def test_flags_must_be_laid_out_as_the_input(name: str) -> None:
    module = drop_in.RNN(3, 5, batch_first=True)
    module(X.transpose(0, 1), **{name: FLAGS.T})
    refuses(ValueError, rf"^{name} should .* of shape \(2, 4\)", module, X.transpose(0, 1), **{name: FLAGS})
    refuses(ValueError, rf"^{name} should .* of shape \(4,\)", module, X[:, 0], **{name: FLAGS})


@pytest.mark.parametrize("name", LAYERS)
def test_a_bidirectional_layer_refuses_a_reset(name: str) -> None:
    module = getattr(drop_in, name)(3, 5, bidirectional=True)
    sentence = "^reset is not possible in a bidirectional layer: its reverse direction comes from the future$"
    refuses(ValueError, sentence, module, X, reset=FLAGS)


REFUSED: dict[str, tuple[str, dict[str, Any], Any, str]] = {
    "reset_state alone": ("LSTM", {"reset_state": (H, H)}, ValueError, "^reset_state is given without reset: say at"),
    "states of a GRU": ("GRU", {"return_states": True}, ValueError, "^return_states is for the LSTM's cell states"),
    "states of an RNN": ("RNN", {"return_states": True}, ValueError, "^return_states is for the LSTM's cell states"),
    "another word": ("GRU", {"masked_output": "keep"}, ValueError, """should be "zero" or "hold", got 'keep'$"""),
    "no word": ("GRU", {"masked_output": None}, ValueError, 'should be "zero" or "hold", got None$'),
    "zero": ("GRU", {"checkpoint": 0}, ValueError, "^checkpoint must be greater than zero, got 0$"),
    "below zero": ("LSTM", {"checkpoint": -1}, ValueError, "^checkpoint must be greater than zero, got -1$"),
    "float": ("LSTM", {"checkpoint": 2.0}, TypeError, "^checkpoint should be of type int, got: float$"),
    "string": ("RNN", {"checkpoint": "2"}, TypeError, "^checkpoint should be of type int, got: str$"),
    "width": ("LSTM", {"reset": FLAGS, "reset_state": (H, Z(1, 2, 6))}, RuntimeError, r"Expected hidden\[1\] size"),
    "batch": ("GRU", {"reset": FLAGS, "reset_state": Z(1, 1, 5)}, RuntimeError, "Expected hidden size"),
    "h alone": ("LSTM", {"reset": FLAGS, "reset_state": (H,)}, ValueError, "^reset_state should "),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_wrong_keywords_are_refused(case: str) -> None:
    name, keywords, kind, sentence = REFUSED[case]
    refuses(kind, sentence, getattr(drop_in, name)(3, 5), X, **keywords)


def test_a_checkpointed_call_keeps_no_gates() -> None:
    module = drop_in.LSTM(3, 5)
    # The tape holds one layer's gates and states of every step; a checkpointed call's holds none.
    assert module(X)[0].grad_fn.tape.slots(0).shape == (4, 2, 5, 5)
    with pytest.raises(IndexError):
        module(X, checkpoint=2)[0].grad_fn.tape.slots(0)


# -- packed sequences ------------------------------------------------------------------------------------------

PACKED = pack_padded_sequence(X, torch.tensor([4, 2]))


@pytest.mark.parametrize(
    "keywords",
    [{"lengths": [4, 2]}, {"mask": FLAGS}, {"reset": FLAGS}, {"masked_output": "hold"}, {"reset_state": (H, H)}],
    ids=lambda keywords: next(iter(keywords)),
)
@pytest.mark.parametrize("name", LAYERS)
def test_a_packed_sequence_refuses_lengths_masks_and_resets(name: str, keywords: dict[str, Any]) -> None:
    sentence = "a PackedSequence has its lengths in it"
    for dtype in (torch.float32, torch.bfloat16):
        module = getattr(drop_in, name)(3, 5, dtype=dtype)
        refuses(ValueError, sentence, module, PACKED.to(dtype), **keywords)


@pytest.mark.parametrize("lengths", [[4, 3, 1], [2, 4, 3]], ids=["sorted", "unsorted"])
@pytest.mark.parametrize("options", [{}, {"proj_size": 2, "num_layers": 2, "bidirectional": True}], ids=str)
def test_cell_states_of_a_packed_sequence_are_those_of_the_padded_one(
    options: dict[str, Any], lengths: list[int]
) -> None:
    module, x = drop_in.LSTM(3, 5, **options), torch.randn(4, 3, 3)
    packed = pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=lengths[0] == 4)
    output, (h, c), states = module(packed, return_states=True, checkpoint=2)
    assert isinstance(states, PackedSequence)
    assert [states[i] is output[i] for i in (1, 2, 3)] == [True] * 3
    expected, (h0, c0), all_states = module(x, lengths=lengths, return_states=True)
    found = [pad_packed_sequence(output)[0], h, c, pad_packed_sequence(states)[0]]
    assert same_bytes(in_arrays(found), in_arrays([expected, h0, c0, all_states]))


@pytest.mark.parametrize("case", ["states of a GRU", "zero", "float"])
def test_keywords_of_a_packed_sequence_are_checked(case: str) -> None:
    name, keywords, kind, sentence = REFUSED[case]
    refuses(kind, sentence, getattr(drop_in, name)(3, 5), PACKED, **keywords)


def test_a_checkpointed_call_keeps_no_gates_of_a_packed_sequence() -> None:
    found = drop_in.GRU(3, 5)(PACKED, checkpoint=2)[1]
    with pytest.raises(IndexError):
        found.grad_fn.tape.slots(0)


WRONG_CALLS: dict[str, tuple[Any, ...]] = {
    "4-D": (Z(1, 1, 2, 3),),
    "1-D": (Z(3),),
    "size": (Z(4, 2, 7),),
    "dtype": (X.double(),),
    "no steps": (Z(0, 2, 3),),
    "state dims": (X, Z(2, 5)),
    "state size": (X, Z(1, 2, 6)),
    "state batch": (X, Z(1, 1, 5)),
    "state layers": (X, Z(2, 2, 5)),
    "unbatched state": (X[:, 0], Z(1, 1, 5)),
}


@pytest.mark.parametrize("way", ["checkpoint", "mask", "chosen", "vmap"])
@pytest.mark.parametrize("what", WRONG_CALLS)
@pytest.mark.parametrize("name", LAYERS)
def test_a_wrong_call_is_refused_in_torchs_words(name: str, what: str, way: str) -> None:
    (x, *hx), (theirs, ours) = WRONG_CALLS[what], pair(name, 3, 5)
    state = [(hx[0], hx[0])] if hx and name == "LSTM" else hx
    with pytest.raises((RuntimeError, ValueError)) as expected:
        theirs(x, *state)
    if way == "chosen":
        ours = getattr(drop_in, name)(3, 5, activation="sigmoid")
    keywords = {"checkpoint": {"checkpoint": 2}, "mask": {"mask": ONES(x.shape[:-1]) == 1}}.get(way, {})
    call = partial(ours, x, *state, **keywords)
    if way == "vmap":
        call = partial(torch.vmap(lambda more: ours(x + more, *state)[0]), Z(2, dtype=x.dtype))
    with pytest.raises(expected.type, match=re.escape(str(expected.value))):
        call()


RESET_STATES: dict[str, Any] = {
    "none": (H, None),
    "arrays": (H.numpy(), H.numpy()),
    "number": 5,
    "tensor": H,
    "three": (H, H, H),
    "meta": (H.to("meta"), H.to("meta")),
}


@pytest.mark.parametrize("case", RESET_STATES)
def test_a_reset_state_of_another_kind_is_refused(case: str) -> None:
    with pytest.raises((TypeError, ValueError, RuntimeError), match=r"^reset_state ") as found:
        drop_in.LSTM(3, 5)(X, reset=FLAGS, reset_state=RESET_STATES[case])
    assert "NumPy" not in str(found.value)


def test_messages_advise_no_numpy_method() -> None:
    wrong, module = (H.double(), H.double()), drop_in.LSTM(3, 5)
    for call in (lambda: module(X, reset=FLAGS, reset_state=wrong), lambda: module.stream(2).step(X[0].double())):
        with pytest.raises(ValueError, match="dtype") as found:
            call()
        assert "astype" not in str(found.value)


def test_a_reset_state_of_another_shape_is_refused_under_a_transform() -> None:
    module = drop_in.GRU(3, 5)
    with pytest.raises(RuntimeError, match="Expected"):
        torch.vmap(lambda x: module(x, reset=FLAGS, reset_state=Z(1, 1, 5))[0])(X[None])


@pytest.mark.parametrize("name", ["mask", "reset"])
def test_flags_on_another_device_are_refused(name: str) -> None:
    refuses(RuntimeError, f"{name}.*meta.*cpu", drop_in.GRU(3, 5), X, **{name: FLAGS.to("meta")})


@pytest.mark.parametrize("every", [2**31, 2**70, np.int64(3)], ids=str)
def test_checkpoint_is_any_positive_integer(every: Any) -> None:
    module = drop_in.GRU(3, 5)
    assert same_bytes(in_arrays(module(X, checkpoint=every)), in_arrays(module(X)))


def test_a_batch_of_none_takes_empty_lengths() -> None:
    assert drop_in.GRU(3, 5)(X[:, :0], lengths=[])[0].shape == (4, 0, 5)


def test_lengths_that_are_no_numbers_are_refused() -> None:
    refuses(TypeError, "^lengths should", drop_in.GRU(3, 5), X, lengths="ab")


def test_vmap_over_lengths_equals_a_loop() -> None:
    module, lengths = drop_in.GRU(3, 5), torch.tensor([[4, 2], [0, 3]])
    found = torch.vmap(lambda each: module(X, lengths=each)[0])(lengths)
    # The activations' error is up to 3e-7, over four steps.
    assert_close(found, torch.stack([module(X, lengths=each)[0] for each in lengths]), 1e-6)


def test_lengths_follow_the_input_to_its_device() -> None:
    module = drop_in.GRU(3, 5, device="meta")
    for lengths in ([4, 2], torch.tensor([4, 2])):
        assert module(X.to("meta"), lengths=lengths)[0].device.type == "meta"
