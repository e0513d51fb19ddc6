"""This module finds the modules of a model that torch does not register, and refuses what is no module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from pyrnn.checks.quoting import brief

from .private import tracing

NOT_REGISTERED = (
    "it stands in a plain list, tuple, set or dict, which torch does not register; use nn.ModuleList or nn.ModuleDict"
)
SCRIPTED = "it is compiled by TorchScript; accelerate the model before torch.jit.script or trace"


def check_module(model: Any, caller: str) -> None:
    """Raises TypeError for what is no module whose parts can be swapped; the error names the function `caller`."""
    expected = f"{caller} takes a torch module"
    if isinstance(model, torch.jit.ScriptModule):
        raise TypeError(f"{expected}, got a {type(model).__name__}: {SCRIPTED}.")
    if isinstance(model, nn.Module):
        return
    if isinstance(model, type):
        raise TypeError(f"{expected}, got the class {model.__name__}; make one, as in {model.__name__}(...).")
    if isinstance(model, Mapping):
        raise TypeError(
            f"{expected}, got a {type(model).__name__}; a state dict is loaded by model.load_state_dict(...) first, "
            "and a dict of modules is an nn.ModuleDict."
        )
    if isinstance(model, (list, tuple, set)):
        raise TypeError(f"{expected}, got a {type(model).__name__}; put modules in an nn.ModuleList.")
    if isinstance(model, (str, bytes)) or hasattr(model, "__fspath__"):
        raise TypeError(f"{expected}, got a {type(model).__name__}; make the model and load the file into it first.")
    kind = type(model)
    raise TypeError(f"{expected}, got {kind.__qualname__ if kind.__module__ == 'builtins' else _full_name(kind)}.")


def check_no_graph(caller: str) -> None:
    """Raises RuntimeError while torch records a graph, because the graph would have some modules of each kind."""
    if torch.compiler.is_compiling() or tracing():
        raise RuntimeError(
            f"{caller} changes the classes of a model's modules, but torch is tracing or compiling a model at the "
            f"moment; call {caller} before torch.compile, torch.jit.trace or torch.export."
        )


def _full_name(kind: type) -> str:
    """Returns the name of a class with its module, because pyrnn and torch both have a GRU."""
    return f"{kind.__module__}.{kind.__qualname__}"


def unregistered(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yields modules in plain lists, tuples, sets and dicts of a model's attributes, with places as "layers[0]"."""
    seen = {id(module) for module in model.modules()}
    for prefix, module in model.named_modules():
        for name, value in vars(module).items():
            if not name.startswith("_"):
                yield from _in_container(f"{prefix}.{name}" if prefix else name, value, seen)


def _in_container(name: str, value: Any, seen: set[int]) -> Iterator[tuple[str, nn.Module]]:
    if isinstance(value, Mapping):
        items: Any = value.items()
    elif isinstance(value, (list, tuple, set, frozenset)):
        items = enumerate(value)
    else:
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    for key, item in items:
        if not isinstance(item, (nn.Module, Mapping, list, tuple, set, frozenset)):
            continue
        where = f"{name}[{brief(key)}]"
        if isinstance(item, nn.Module):
            for inner, module in item.named_modules():
                if id(module) not in seen:
                    seen.add(id(module))
                    yield f"{where}.{inner}" if inner else where, module
        else:
            yield from _in_container(where, item, seen)
