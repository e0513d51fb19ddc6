"""Tracks axes, mask and precision along a chain of Keras layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyrnn.checks.arrays import Array
from pyrnn.checks.budget import Budget
from pyrnn.checks.quoting import quoted
from pyrnn.core.module import Module

from .config import UNSAID, KerasLayer
from .store import Store


@dataclass
class Flow:
    """Holds the arrays of the file, and what is known of the next layer's input.

    Attributes:
        store: the arrays of the file.
        rank: the number of axes, with the batch, or None if the file does not say it.
        mask_from: the name of the layer that made the mask of the input, or None.
        turned: whether the input came through go_backwards, which in Keras reverses the sequence but not its mask.
        dtypes: the dtypes of the layers with weights so far.
        budget: the rest of the file's budget.
    """

    store: Store
    rank: int | None = None
    mask_from: str | None = None
    turned: bool = False
    dtypes: set[str] = field(default_factory=set)
    budget: Budget = field(default_factory=lambda: Budget(0))

    def take(self, layer: KerasLayer, names: Sequence[str], part: str = "") -> dict[str, Array]:
        """Takes the arrays of one part of a layer; raises ValueError if the file has others."""
        return self.store.take(layer.name, part, names)

    def claim(self, numbers: int, what: str) -> None:
        """Refuses a size with which a layer's output would take more memory than the file may take."""
        self.budget.check(4 * numbers, what)

    def dtype(self, layer: KerasLayer) -> str:
        """Returns the precision of a layer with weights; refuses one that differs from an earlier layer's."""
        self.dtypes.add(layer.dtype())
        if len(self.dtypes) > 1:
            layer.refuse(f"dtype={layer.dtype()}, but layers before it have another; a model should have one dtype")
        return layer.dtype()

    def fill(self, layer: KerasLayer, module: Module, state: Mapping[str, Array]) -> None:
        """Loads a module's weights; raises ValueError if their shapes do not fit."""
        try:
            module.load_state_dict(state)
        except RuntimeError as error:
            layer.refuse(f"its arrays do not fit together: {error}")

    def end_time(self, rank: int) -> None:
        """Notes that the output of a layer has `rank` axes and no mask."""
        self.rank, self.mask_from, self.turned = rank, None, False

    def heed_mask(self, layer: KerasLayer) -> None:
        """Refuses a layer if Keras would give it another mask, or one in another order than its input."""
        if layer.mask_from not in (UNSAID, self.mask_from):
            layer.refuse(
                f"it is called with the mask of {quoted(layer.mask_from)}, where that of {quoted(self.mask_from)} "
                "comes along"
            )
        if self.mask_from is not None and self.turned:
            layer.refuse(
                "a layer before it has go_backwards=True and return_sequences=True, and Keras would hand this one a "
                "mask in the order before that; load the model without the mask, or without go_backwards"
            )
