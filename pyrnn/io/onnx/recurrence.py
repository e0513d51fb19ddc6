"""Reads RNN, LSTM and GRU nodes of a graph as layers."""

from __future__ import annotations

from typing import Any

from pyrnn import nn
from pyrnn.core.module import Module

from .graph import Graph, Importer, floats
from .node import INPUTS, OPS, OUTPUTS, Options, check_weights, layer_of, read
from .package import title
from .views import Atom, Axis, Origin, View, place, settled, shown


def recurrent(graph: Graph, node: Any, given: dict[str, Any]) -> list[View | None]:
    """Returns views of Y and Y_h; the layers depend on which of them the graph uses."""
    given.clear()
    options, view, who = read(node), graph.input(node), title(node)
    floats(view, who)
    if len(view.axes) != 3:
        raise ValueError(f"{who}: X should have 3 axes, has {len(view.axes)}")
    _check_rest(graph, node, who)
    found = {name: graph.weight(node, index) for index, name in enumerate(INPUTS) if name in ("W", "R", "B", "P")}
    if (weight := found.get("W")) is not None and weight.ndim == 3:
        graph.learn(view, 2, weight.shape[2])
        if weight.shape[2] != view.shape[2]:
            raise ValueError(f"{who}: W is for {weight.shape[2]} features, and X has axes {shown(view.axes)}")
    weights = check_weights(options, found, view.shape[2])
    batch, time = (0, 1) if options.batch_first else (1, 0)
    places = [place(view, axis, who) for axis in (batch, time, 2)]
    if places not in ([0, 1, 2], [1, 0, 2]) or len(floats(view, who).axes) != 3:
        view = settled(view, who)
        places = [batch, time, 2]
    batch_first = places[0] == 0
    directions: Axis = (Atom(2),) if len(options.reversed) == 2 else ()
    hidden: Axis = (Atom(weights["R"].shape[2]),)
    axes = {"T": view.axes[time], "B": view.axes[batch], "D": directions, "H": hidden}
    made, before = (*directions, *hidden), floats(view, who)
    used = {kind for kind, name in zip(OUTPUTS, node.output, strict=False) if name in graph.needed}
    if "Y_c" in used:
        raise ValueError(f"the output of {who} that is used is Y_c; a Sequential passes on Y or Y_h only")
    sequence = Origin(
        (axes["B"], axes["T"], made) if batch_first else (axes["T"], axes["B"], made),
        _layers(options, weights, batch_first, sequences=True) if "Y" in used else [],
        before,
    )
    states_layers = _layers(options, weights, batch_first, sequences=False) if "Y_h" in used else []
    last = Origin((axes["B"], made), states_layers, before, directions)
    states = tuple((last, direction) for direction in range(len(options.reversed)))
    letters = ("BTDH", "BDH") if options.batch_first else ("TDBH", "DBH")
    return [
        View(tuple(axes[letter] for letter in letters[0]), sequence),
        View(tuple(axes[letter] for letter in letters[1]), last, states, directions),
    ]


def _check_rest(graph: Graph, node: Any, who: str) -> None:
    """Refuses lengths and nonzero initial states, which a Sequential does not take."""
    if len(node.input) > 4 and node.input[4]:
        raise ValueError(f"{who} has sequence_lens, which a Sequential does not take; run_node does")
    for index in (5, 6):
        state = graph.shape_value(node, index)
        if state is not None and state.any():
            raise ValueError(f"{who} has {INPUTS[index]} that is not zero, which a Sequential does not take; "
                             "run_node does")  # fmt: skip


def _layers(options: Options, weights: dict[str, Any], batch_first: bool, sequences: bool) -> list[Module]:
    first, second = slice(0, 1), slice(1, 2)
    if len(options.reversed) == 1:
        layers: list[Module] = [layer_of(options, weights, first, batch_first)]
        if options.reversed[0]:
            layers = [nn.Reverse(batch_first), *layers, *([nn.Reverse(batch_first)] if sequences else [])]
        return layers if sequences else [*layers, nn.LastStep(batch_first)]
    if sequences and options.activations[0] == options.activations[1]:
        return [layer_of(options, weights, slice(0, 2), batch_first)]
    both = [layer_of(options, weights, each, batch_first) for each in (first, second)]
    return [nn.Bidirectional(both[0], both[1], merge_mode="concat", return_sequences=sequences)]


IMPORTERS: dict[str, Importer] = dict.fromkeys(OPS, recurrent)
