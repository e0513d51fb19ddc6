"""load_state_dict and from_state_dict take all or nothing, return what torch's do, and refuse in short sentences."""

from __future__ import annotations

import _thread
import threading
import time
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import nn


def network(seed: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(3, 4, seed=seed),
        pyrnn.GRU(4, 5, seed=seed),
        nn.ChannelsLast(nn.BatchNorm1d(5)),
        nn.Linear(5, 2, seed=seed),
    )


WIDE = {name: value.astype("f8") for name, value in network(1).state_dict().items()}


def values(model: pyrnn.Module) -> dict[str, bytes]:
    return {name: value.tobytes() for name, value in model.state_dict().items()}


# -- all or nothing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["0.weight", "1.bias_hh_l0", "2.layer.running_var", "3.bias"])
@pytest.mark.parametrize("way", ["errstate", "warnings"])
def test_a_cast_that_overflows_leaves_everything_as_it_was(place: str, way: str) -> None:
    model, wide = network(0), {name: value.copy() for name, value in WIDE.items()}
    wide[place][...] = 1e300
    before = values(model)
    with np.errstate(over="raise" if way == "errstate" else "warn"), warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=f"{place} holds numbers of float64 that float32 cannot hold") as caught:
            model.load_state_dict(wide)
        with pytest.raises(ValueError, match="cannot hold"):
            model[3].weight = np.full((2, 5), 1e300)
    assert isinstance(caught.value, FloatingPointError)  # the exception that NumPy was told to raise
    assert values(model) == before


@pytest.mark.parametrize("wrong", [["a"], np.ones(4, complex), np.ones((4, 3), object), object(), None])
def test_a_value_that_is_no_array_leaves_everything_as_it_was(wrong: Any) -> None:
    model = network(0)
    before = values(model)
    with pytest.raises(TypeError, match=r"3\.weight should be an array of real numbers"):
        model.load_state_dict({**WIDE, "3.weight": wrong})
    assert values(model) == before


def test_an_interrupt_leaves_the_old_weights_or_the_new_ones() -> None:
    big = nn.Sequential(*[nn.Linear(100, 100, seed=i) for i in range(12)])
    zeros = {name: np.zeros_like(value) for name, value in big.state_dict().items()}
    ones = {name: np.ones_like(value) for name, value in zeros.items()}
    interrupted = 0
    for i in range(60):
        big.load_state_dict(zeros)
        timer = threading.Timer(0.0001 * (i % 12), _thread.interrupt_main)
        try:
            timer.start()
            for _ in range(20):
                big.load_state_dict(ones)
            time.sleep(0.05)
        except KeyboardInterrupt:
            interrupted += 1
        timer.join()
        assert len({float(value.flat[0]) for value in big.state_dict().values()}) == 1
    assert interrupted > 30


def test_another_thread_never_sees_a_mixture() -> None:
    big = nn.Sequential(*[nn.Linear(5, 5, seed=i) for i in range(30)])
    both = [{name: np.full_like(value, number) for name, value in big.state_dict().items()} for number in (0, 1)]
    big.load_state_dict(both[0])
    done = threading.Event()

    def load() -> None:
        for i in range(300):
            big.load_state_dict(both[i % 2])
        done.set()

    work = threading.Thread(target=load)
    work.start()
    layers = [module.__dict__ for module in big._modules.values()]
    while not done.is_set():
        found = list(map(dict.get, layers, ["_parameters"] * len(layers)))  # one call in C, no thread comes between
        assert len({float(part["weight"].flat[0]) for part in found}) == 1  # type: ignore[index]
    work.join()


# -- what it returns ---------------------------------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.parametrize("strict", [True, False])
def test_load_state_dict_returns_what_torch_returns(strict: bool) -> None:
    import torch

    module, layer = torch.nn.GRU(3, 4), pyrnn.GRU(3, 4)
    state: dict[str, Any] = dict(module.state_dict())
    assert layer.load_state_dict(state, strict) == module.load_state_dict(state, strict) == ([], [])
    assert repr(layer.load_state_dict(state, strict)) == repr(module.load_state_dict(state, strict))
    if not strict:
        state["extra"] = state.pop("bias_hh_l0")
        found, expected = layer.load_state_dict(state, strict), module.load_state_dict(state, strict)
        assert (found.missing_keys, found.unexpected_keys) == (expected.missing_keys, expected.unexpected_keys)
        assert found.missing_keys == ["bias_hh_l0"]


# -- short sentences ---------------------------------------------------------------------------------------

ONE = np.zeros((4, 1), np.float32)
NUMBERS = {
    "millions": "weight_ih_l2000000",
    "beyond an int": f"weight_ih_l{2**70}",
    "thousands of digits": "weight_ih_l" + "9" * 5000,
    "negative": "weight_ih_l-1",
    "leading zero": "weight_ih_l01",
    "a gap": "weight_ih_l2",
    "reverse of no layer": "weight_hh_l1000000_reverse",
    "reverse alone": "bias_ih_l0_reverse",
    "bias": "bias_hh_l99999999",
    "projection": "weight_hr_l77777777",
    "peephole": "weight_peephole_l123456789",
    "parametrized": "parametrizations.weight_ih_l100000000.original",
    "text": "weight_ih_lx",
}


@pytest.mark.parametrize("number", NUMBERS)
def test_a_strange_layer_number_is_refused_without_time_or_memory(number: str) -> None:
    state = {"rnn.weight_ih_l0": ONE, "rnn.weight_hh_l0": ONE, f"rnn.{NUMBERS[number]}": ONE}
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises((ValueError, RuntimeError)) as caught:
        pyrnn.from_state_dict(state, prefix="rnn.", nonlinearity="tanh")
    assert time.perf_counter() - start < 1
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    assert len(str(caught.value)) < 600


def test_a_layer_that_the_file_does_not_hold_takes_no_memory() -> None:
    big = np.zeros((4 * 1000, 1000), np.float32)
    state = {"weight_ih_l0": big, "weight_hh_l0": big} | {f"weight_ih_l{k}": np.zeros((1, 1)) for k in range(1, 1000)}
    tracemalloc.start()
    with pytest.raises(ValueError, match="and 993 more"):
        pyrnn.from_state_dict(state)
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


GRU = pyrnn.GRU(3, 4, seed=0)
ODD = ["a" * 10**6, "\ud800", "\x1b[31m", "line\n" * 1000, "𝔘" * 10**5, "\0"]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_names_from_files_are_shown_short_and_printable(odd: str) -> None:
    zero = np.zeros(1)
    calls: list[Any] = [
        lambda: GRU.load_state_dict({**GRU.state_dict(), odd: zero}),
        lambda: GRU.load_state_dict({f"{i}{odd}": zero for i in range(20)}),
        lambda: pyrnn.from_state_dict({odd: zero}),
        lambda: pyrnn.from_state_dict({f"{i}{odd}": zero for i in range(20)}),
        lambda: pyrnn.from_state_dict({**GRU.state_dict(), f"weight_{odd}": zero}),
        lambda: pyrnn.from_state_dict({f"{odd}weight_ih_l0": zero, f"{odd}weight_hh_l0": zero}, odd),
        lambda: pyrnn.from_state_dict({**GRU.state_dict(), f"weight_hh_l0{odd}": np.array("text")}),
        lambda: pyrnn.from_state_dict({**GRU.state_dict(), f"parametrizations.weight_hh_l0.{odd}": zero}),
        lambda: pyrnn.from_state_dict({}, odd),
    ]
    for call in calls:
        with pytest.raises((ValueError, RuntimeError, TypeError)) as caught:
            call()
        str(caught.value).encode()
        assert len(str(caught.value)) < 1024
        assert "\x1b" not in str(caught.value)


def test_the_state_dict_of_a_cell_gives_that_cell_back() -> None:
    for kind, options in ((pyrnn.LSTMCell, {}), (pyrnn.GRUCell, {"reset_after": False}), (pyrnn.RNNCell, {})):
        cell = kind(3, 5, bias=False, **options)
        again = pyrnn.from_state_dict({f"cell.{name}": v for name, v in cell.state_dict().items()}, "cell.", **(
            options or ({"nonlinearity": "tanh"} if kind is pyrnn.RNNCell else {})))  # fmt: skip
        assert repr(again) == repr(cell)
        assert values(again) == values(cell)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"nonlinearity": "relu"}, "a GRU takes batch_first, dropout, reset_after"),
        ({"num_layers": 2}, "the weights tell it"),
        ({"prefix": 3}, "prefix should be a string"),
        ({"no_such": 1}, "no_such= cannot be given"),
    ],
)
def test_an_option_that_the_layer_has_not_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        pyrnn.from_state_dict(GRU.state_dict(), **options)


# -- what to do --------------------------------------------------------------------------------------------


def weight_normed(layer: pyrnn.Module) -> dict[str, Any]:
    """The state dict after torch.nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")."""
    state = dict(layer.state_dict())
    weight = state.pop("weight_hh_l0")
    norms = np.linalg.norm(weight, axis=1, keepdims=True)
    parts = {"original0": norms, "original1": weight}
    return state | {f"parametrizations.weight_hh_l0.{name}": value for name, value in parts.items()}


ADVICE: dict[str, tuple[pyrnn.Module, Any, str]] = {
    "a cell's in a layer": (
        pyrnn.LSTM(3, 5),
        pyrnn.LSTMCell(3, 5).state_dict(),
        r'They are the weights of a cell: load them into one, as pyrnn\.LSTMCell, or add "_l0" to each name',
    ),
    "a cell's in a network": (
        nn.Sequential(pyrnn.GRU(3, 5)),
        nn.Sequential(pyrnn.GRUCell(3, 5)).state_dict(),
        "They are the weights of a cell",
    ),
    "a layer's in a cell": (
        pyrnn.RNNCell(3, 5),
        pyrnn.RNN(3, 5).state_dict(),
        "They are the weights of a layer: load them into one",
    ),
    "with weight_norm": (
        pyrnn.LSTM(3, 5),
        weight_normed(pyrnn.LSTM(3, 5)),
        r'"parametrizations\.weight_hh_l0\.original0" is a part of a parameter.*pyrnn\.from_state_dict',
    ),
    "of a larger module": (
        pyrnn.GRU(3, 5),
        {f"rnn.{name}": value for name, value in pyrnn.GRU(3, 5).state_dict().items()},
        r'The names begin with "rnn\."; take it off: \{name\.removeprefix\("rnn\."\)',
    ),
}


@pytest.mark.parametrize("case", ADVICE)
def test_names_that_are_the_modules_in_another_form_say_what_to_do(case: str) -> None:
    model, state, advice = ADVICE[case]
    with pytest.raises(RuntimeError, match=rf"Missing key.*\n\tUnexpected key.*\n\t{advice}"):
        model.load_state_dict(state)


def test_keys_that_are_merely_missing_or_unexpected_get_no_advice() -> None:
    state = pyrnn.LSTM(3, 5).state_dict()
    for wrong in ({**state, "fc.weight": np.ones(3)}, {name: state[name] for name in list(state)[:3]}):
        with pytest.raises(RuntimeError) as caught:
            pyrnn.LSTM(3, 5).load_state_dict(wrong)
        assert str(caught.value).count("\n") == 1


def test_the_doubt_about_a_nonlinearity_names_the_key_that_is_there() -> None:
    with pytest.warns(UserWarning, match=r"^the weights weight_ih \.\.\. of an RNNCell do not tell its nonlinearity"):
        pyrnn.from_state_dict({name: value.copy() for name, value in pyrnn.RNNCell(3, 5).state_dict().items()})
    state = {f"a.{name}": value for name, value in pyrnn.RNN(3, 5).state_dict().items()}
    with pytest.warns(UserWarning, match=r"^the weights a\.weight_ih_l0 \.\.\. of an RNN do not tell"):
        pyrnn.from_state_dict(state, prefix="a.")
