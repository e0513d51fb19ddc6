"""Strange containers in a .pt become placeholders, and weights that the search does not reach are named."""

from __future__ import annotations

import collections
import io
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

import pyrnn
from pyrnn.weights.files import Placeholder, load_state_dict

GRU = torch.nn.GRU(3, 4)
STATE = dict(GRU.state_dict())
WEIGHTS = list(STATE.values())


def saved(tree: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(tree, stream)
    return stream.getvalue()


# -- containers --------------------------------------------------------------------------------------------


def endless_list() -> Any:
    found: list[Any] = [1]
    found.append(found)
    return found


def endless_dict() -> Any:
    found: dict[str, Any] = {}
    found["inside"] = [found]
    return found


def endless_deque() -> Any:
    found: collections.deque[Any] = collections.deque([1])
    found.append(found)
    return found


def endless_tuple() -> Any:
    inside: list[Any] = []
    inside.append((inside, 2))
    return inside[0]


def deep(kind: Callable[[Any], Any], count: int = 300) -> Any:
    found: Any = 1.0
    for _ in range(count):
        found = kind(found)
    return found


CONTAINERS: dict[str, tuple[Any, str]] = {
    "list in itself": (endless_list(), "a list that contains itself"),
    "dict in itself": (endless_dict(), "a dict that contains itself"),
    "deque in itself": (endless_deque(), "a collections.deque that contains itself"),
    "tuple in itself": (endless_tuple(), "a tuple that contains itself"),
    "lists, 300 deep": (deep(lambda inside: [inside]), "a list nested more than 100 deep"),
    "dicts, 300 deep": (deep(lambda inside: {"a": inside}), "a dict nested more than 100 deep"),
    "tuples, 300 deep": (deep(lambda inside: (inside,)), "a tuple nested more than 100 deep"),
}


def placeholders(tree: Any) -> list[str]:
    if isinstance(tree, Placeholder):
        return [tree.name]
    inside = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (list, tuple)) else ()
    return [name for part in inside for name in placeholders(part)]


@pytest.mark.parametrize("case", CONTAINERS)
def test_an_endless_or_deep_container_becomes_a_placeholder_and_the_weights_load(case: str) -> None:
    value, name = CONTAINERS[case]
    data = saved({"extra": value, "model": STATE, "again": value})
    assert placeholders(load_state_dict(data)) == [name, name]
    loaded: Any = pyrnn.load(data)
    assert repr(loaded) == "GRU(3, 4)"
    np.testing.assert_array_equal(loaded.weight_hh_l0, GRU.weight_hh_l0.detach().numpy())


def test_a_container_that_stands_at_two_places_is_loaded_twice() -> None:
    shared = [1, {"a": (2,)}]
    assert load_state_dict(saved({"one": shared, "two": [shared, shared]})) == {"one": shared, "two": [shared, shared]}


def test_weights_nested_too_deep_do_not_hide_that_others_are_missing() -> None:
    with pytest.raises(ValueError, match="expected weight_ih_l0"):
        pyrnn.load(saved({"a": deep(lambda inside: {"a": inside}), "b": STATE["weight_ih_l0"]}))


# -- weights -----------------------------------------------------------------------------------------------

UNREACHED: dict[str, tuple[Any, str]] = {
    "under an integer": ({0: STATE}, "[0]"),
    "under a tuple": ({("a", 1): STATE}, "[('a', 1)]"),
    "in a list": ([STATE, STATE], "[0]"),
    "in a list of a dict": ({"epoch": 3, "models": ["first", STATE]}, "['models'][1]"),
    "in a tuple": ({"model": (STATE, {"lr": 0.1})}, "['model'][0]"),
    "with a prefix": ([{f"net.rnn.{name}": value for name, value in STATE.items()}], "[0]"),
    "of a cell": ([dict(torch.nn.LSTMCell(3, 4).state_dict())], "[0]"),
}


@pytest.mark.parametrize("case", UNREACHED)
def test_weights_in_a_list_or_under_another_key_are_said_to_lie_there(case: str) -> None:
    tree, where = UNREACHED[case]
    with pytest.raises(ValueError, match="cannot be loaded") as caught:
        pyrnn.load(saved(tree))
    advice = f"weights lie under {where}; save them alone: torch.save(torch.load(path){where}, new_path)"
    assert advice in str(caught.value)
    found = eval(f"tree{where}", {"tree": tree})  # follows the advice
    assert isinstance(pyrnn.load(saved(found)), (pyrnn.GRU, pyrnn.LSTMCell))


NAMELESS: dict[str, tuple[Any, str]] = {
    "list": (WEIGHTS, "4 arrays whose keys are no names, the first at [0]"),
    "pairs": (list(STATE.items()), "4 arrays whose keys are no names, the first at [0][1]"),
    "integers": (dict(enumerate(WEIGHTS)), "4 arrays whose keys are no names, the first at [0]"),
    "tuples": ({("gru", i): value for i, value in enumerate(WEIGHTS)}, "the first at [('gru', 0)]"),
    "bytes": ({b"weight_ih_l0": WEIGHTS[0]}, "1 arrays whose keys are no names, the first at [b'weight_ih_l0']"),
    "within": ({"model": WEIGHTS}, "4 arrays whose keys are no names, the first at ['model'][0]"),
}


@pytest.mark.parametrize("case", NAMELESS)
def test_arrays_whose_keys_are_no_names_are_counted_and_the_first_is_shown(case: str) -> None:
    tree, sentence = NAMELESS[case]
    with pytest.raises(ValueError, match=r"torch\.save\(model\.state_dict\(\), path\)") as caught:
        pyrnn.load(saved(tree))
    assert sentence in str(caught.value)


def test_arrays_in_lists_do_not_hide_that_named_ones_are_missing() -> None:
    with pytest.raises(ValueError, match=r'expected weight_ih_l0 .*which has: "fc\.weight"'):
        pyrnn.load(saved({"fc.weight": WEIGHTS[0], "losses": [WEIGHTS[1]]}))


def test_weights_in_nested_dicts_are_reached_under_any_key() -> None:
    assert repr(pyrnn.load(saved({"models": {0: STATE}}))) == "GRU(3, 4)"
