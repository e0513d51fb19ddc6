"""A layer or a cell is called with one step of one sequence at a time, as by an acting policy."""

from collections.abc import Callable

import torch
from torch import nn


def make(kind: str, batch: int, steps: int, features: int, hidden: int) -> tuple[nn.Module, Callable[[], None]]:
    """A model that is a layer, and a function that makes `steps` calls of one step."""
    return calls_of(getattr(nn, kind)(features, hidden), torch.randn(1, batch, features), steps)


def make_cells(kind: str, batch: int, steps: int, features: int, hidden: int) -> tuple[nn.Module, Callable[[], None]]:
    """A model that is a cell, and a function that makes `steps` calls of one step."""
    return calls_of(getattr(nn, kind + "Cell")(features, hidden), torch.randn(batch, features), steps)


def calls_of(layer: nn.Module, x: torch.Tensor, steps: int) -> tuple[nn.Module, Callable[[], None]]:
    model = nn.ModuleList([layer])  # accelerate replaces the layers inside a model
    is_cell = isinstance(layer, nn.RNNCellBase)

    def act() -> None:
        (layer,) = model
        state = None
        with torch.inference_mode():
            for _ in range(steps):
                state = layer(x, state) if is_cell else layer(x, state)[1]

    return model, act
