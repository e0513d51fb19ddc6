"""What is known on the way down a chain of layers: axes, mask, precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyrnn.checks.arrays import Array
from pyrnn.checks.budget import Budget
from pyrnn.checks.quoting import quoted
from pyrnn.core.module import Module

from .config import UNSAID, Layer
from .store import Store


@dataclass
class Flow:
    """The arrays of the file, and what the next layer is given.

    Attributes:
        rank: the number of axes, batch included, or None where the file does not say.
        mask_from: the name of the layer that made the mask that comes along, or None.
        turned: whether it came through go_backwards, which in Keras turns the sequence but not its mask.
        dtypes: of the layers with weights so far.
        budget: what is left of the file's.
    """

    store: Store
    rank: int | None = None
    mask_from: str | None = None
    turned: bool = False
    dtypes: set[str] = field(default_factory=set)
    budget: Budget = field(default_factory=lambda: Budget(0))

    def take(self, layer: Layer, names: Sequence[str], part: str = "") -> dict[str, Array]:
        """The arrays of one part of a layer; ValueError if the file has others."""
        return self.store.take(layer.name, part, names)

    def claim(self, numbers: int, what: str) -> None:
        """Refuses a size in a configuration that makes a layer take more for its output than the file may take."""
        self.budget.check(4 * numbers, what)

    def dtype(self, layer: Layer) -> str:
        """The precision of a layer with weights; refused if another one before it has another."""
        self.dtypes.add(layer.dtype())
        if len(self.dtypes) > 1:
            layer.refuse(f"dtype={layer.dtype()}, but layers before it have another; a model should have one dtype")
        return layer.dtype()

    def fill(self, layer: Layer, module: Module, state: Mapping[str, Array]) -> None:
        """Gives a module its weights; ValueError if their shapes do not fit it."""
        try:
            module.load_state_dict(state)
        except RuntimeError as error:
            layer.refuse(f"its arrays do not fit together: {error}")

    def end_time(self, rank: int) -> None:
        """After a layer whose output has so many axes, and no mask."""
        self.rank, self.mask_from, self.turned = rank, None, False

    def heed_mask(self, layer: Layer) -> None:
        """Refuses a layer that Keras would give another mask, or one in another order than its input."""
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
