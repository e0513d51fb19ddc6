"""Loads weights into an existing model; the model and the caller supply what a file of weights does not tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyrnn import GRU, LSTM, RNN, nn
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief, listed, quoted
from pyrnn.core.module import Module

from . import layouts
from .channels import orders, reordered
from .container import Container
from .convert import network
from .recurrent import KerasCell
from .store import Store

Arrays = dict[str, Array]
CELL_NAMES: dict[type[Module], str] = {
    nn.BatchNorm1d: "BatchNormalization",
    nn.BatchNorm2d: "BatchNormalization",
    nn.Bidirectional: "Bidirectional",
    nn.Conv1d: "Conv1D",
    nn.Conv2d: "Conv2D",
    nn.Embedding: "Embedding",
    nn.LayerNorm: "LayerNormalization",
    nn.Linear: "Dense",
    GRU: "GRU",
    LSTM: "LSTM",
    RNN: "SimpleRNN",
}


def fill(file: Container, model: nn.Sequential, recurrent_activation: str | Sequence[str] | None) -> None:
    """Loads the file's weights into the model: all of them, or none if there is an error.

    Raises:
        ValueError: if the file's layers are not the model's, or weights alone do not tell what the model computes.
    """
    mine = [(name, module) for name, module in model._modules.items() if module.state_dict()]
    _check_gates(mine, recurrent_activation, needed=file.model is None)
    found = _states(mine, file, orders(model)) if file.model is None else _copied(mine, model, network(file))
    try:
        model.load_state_dict(model.state_dict() | dict(found))
    except RuntimeError as error:
        raise ValueError(f"its arrays do not fit the model: {error}") from error


def _check_gates(mine: list[tuple[str, Module]], asked: str | Sequence[str] | None, needed: bool) -> None:
    """Checks recurrent_activation, which a file of weights does not tell; Keras up to 2.2 chose hard_sigmoid."""
    gated = [(name, cells) for name, module in mine if (cells := _gated(module))]
    if gated and needed and asked is None:
        raise ValueError(
            f"it does not say the recurrent_activation of layer {quoted(gated[0][0])}: give recurrent_activation=, "
            'which is "hard_sigmoid_keras2" for the "hard_sigmoid" of Keras 2 (the default up to Keras 2.2), and '
            'mostly "sigmoid" otherwise; '
            "pyrnn.verify.verify(..., model=) tells whether the model then computes what Keras does"
        )
    if asked is None:
        return
    if not isinstance(asked, (str, Sequence)):
        raise TypeError(f"recurrent_activation should be a name or a list of names, got {type(asked).__name__}")
    wanted = [asked] * len(gated) if isinstance(asked, str) else list(asked)
    if len(wanted) != len(gated):
        raise ValueError(
            f"recurrent_activation should be one name, or {len(gated)}, one a layer with gates; got {brief(asked)}"
        )
    for (name, cells), activation in zip(gated, wanted, strict=True):
        for cell in cells:
            if cell.recurrent_activation != activation:
                raise ValueError(
                    f"recurrent_activation={brief(activation)} is asked for, but layer {quoted(name)} of the model "
                    f"has {brief(cell.recurrent_activation)}: make the model with the one it was trained with"
                )


def _gated(module: Module) -> list[LSTM | GRU]:
    cells = [module.forward, module.backward] if isinstance(module, nn.Bidirectional) else [module]
    return [cell for cell in cells if isinstance(cell, (LSTM, GRU))]


def _copied(
    mine: list[tuple[str, Module]], model: nn.Sequential, loaded: nn.Sequential
) -> Iterator[tuple[str, Array]]:
    """Yields the weights of the model that the file describes, after checking that the two models are the same."""
    if [_meaning(layer) for layer in model] != [_meaning(layer) for layer in loaded] and orders(model):
        raise ValueError("its model has the channels last, and this one first; use load, or nn.ChannelsLast")
    theirs = [module for module in loaded if module.state_dict()]
    if len(theirs) != len(mine):
        raise ValueError(f"it has {len(theirs)} layers with weights, the model has {len(mine)}; use load")
    for (name, module), other in zip(mine, theirs, strict=True):
        if because := _difference(_meaning(module), _meaning(other)):
            raise ValueError(f"layer {quoted(name)} of the model {because}; make it so, or use load")
        yield from ((f"{name}.{key}", array) for key, array in other.state_dict().items())


def _meaning(layer: Module) -> dict[str, Any]:
    """Describes what a layer computes, by dotted name; two layers that write the same thing differently are equal."""
    return dict(_leaves(nn.describe(layer)))


def _leaves(description: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    config = description["config"]
    yield f"{before}type", description["type"]
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{before}{name}.")
        elif name == "padding":
            yield before + name, _pads(config)
        # Weights do not depend on these, and the model says them itself.
        elif name not in ("masked_output", "dropout"):
            yield before + name, value


def _pads(config: Mapping[str, Any]) -> Any:
    """Returns the padding as pairs, if this needs no length of the input."""
    kernel, padding = config["kernel_size"], config["padding"]
    # A pool has no dilation. It does not count its padding, so pairs would have another meaning there.
    if padding == "same" and set(config["stride"]) == {1} and "dilation" in config:
        missing = [(k - 1) * d for k, d in zip(kernel, config["dilation"], strict=True)]
        return [[m // 2, m - m // 2] for m in missing]
    if padding == "valid":
        return [[0, 0]] * len(kernel)
    return padding if padding == "same" else [[pad, pad] if isinstance(pad, int) else pad for pad in padding]


def _difference(ours: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """Says how two layers differ, as a predicate; "" if they are equal."""
    kinds = [name for name in ours if name.rpartition(".")[2] == "type" and ours[name] != given.get(name)]
    if kinds:
        return f"is a {ours[kinds[0]]}, that of the file {given.get(kinds[0], 'has none there')}"
    names = [name for name in {**ours, **given} if ours.get(name) != given.get(name)][:6]
    mine, theirs = (", ".join(f"{name}={brief(values.get(name))}" for name in names) for values in (ours, given))
    return f"has {mine}, that of the file {theirs}" if names else ""


def _states(
    mine: list[tuple[str, Module]], file: Container, order_of: dict[str, Array]
) -> Iterator[tuple[str, Array]]:
    kinds = [(_kind(name, module), name) for name, module in mine]
    store = Store.of_weights(file.arrays, kinds, file.layer_names)
    for name, module in mine:
        for prefix, state in _layer_states(name, module, store):
            if name in order_of:
                state = reordered(module, state, order_of[name])
            yield from ((f"{name}.{prefix}{key}", array) for key, array in state.items())
    if store.left():
        raise ValueError(f"it has arrays that the model has no layer for: {listed(store.left())}")


def _kind(name: str, module: Module) -> str:
    inside = module.layer if isinstance(module, nn.ChannelsLast) else module
    if type(inside) not in CELL_NAMES:
        raise ValueError(f"layer {quoted(name)} of the model is a {type(inside).__name__}, which Keras has not")
    return CELL_NAMES[type(inside)]


def _layer_states(name: str, module: Module, store: Store) -> Iterator[tuple[str, Arrays]]:
    """Yields (prefix, state dict) of a layer, or of each of its parts."""
    if isinstance(module, nn.ChannelsLast):
        yield from (("layer." + prefix, state) for prefix, state in _layer_states(name, module.layer, store))
    elif isinstance(module, nn.Bidirectional):
        for side, inner in (("forward", module.forward), ("backward", module.backward)):
            yield f"{side}.", _cell_state(name, inner, store, f"{side}_layer/cell")
    elif isinstance(module, (RNN, LSTM, GRU)):
        yield "", _cell_state(name, module, store, "cell")
    else:
        yield "", _plain_state(name, module, store)


def _cell_state(name: str, layer: Module, store: Store, part: str) -> Arrays:
    assert isinstance(layer, (RNN, LSTM, GRU))
    if layer.num_layers > 1 or layer.bidirectional or layer.proj_size or layer.peephole:
        raise ValueError(f"layer {quoted(name)} of the model is {layer}; Keras' have one layer and one direction each")
    reset_after = isinstance(layer, GRU) and layer.reset_after
    kind = "SimpleRNN" if isinstance(layer, RNN) else type(layer).__name__
    cell = KerasCell(kind, layer.hidden_size, layer.bias, reset_after)
    try:
        return cell.weights(store.take(name, part, cell.names()))
    except ValueError as error:
        raise ValueError(f"layer {quoted(name)} of the model: {error}") from error


def _plain_state(name: str, module: Module, store: Store) -> Arrays:
    if isinstance(module, nn.Embedding):
        return layouts.embedding(store.take(name, "", ("embeddings",)))
    if isinstance(module, nn.LayerNorm):
        return layouts.layer_norm(store.take(name, "", ("gamma", "beta")))
    if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
        return layouts.batch_norm(store.take(name, "", ("gamma", "beta", "moving_mean", "moving_variance")))
    arrays = store.take(name, "", ("kernel", "bias") if "bias" in module.parameters() else ("kernel",))
    return layouts.dense(arrays) if isinstance(module, nn.Linear) else layouts.conv(arrays)
