"""What `fit` goes over in an epoch: batches cut from a pair of arrays, or batches that come ready-made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Any

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.core.module import Module
from pyrnn.nn.taking import as_input, axes_of

from .loss_inputs import numbers

Data = Any  # a pair of arrays, or an iterable of such pairs; what may stand for an array, checks/arrays.py says
Axis = int | tuple[int, int]


class Batches:
    """(inputs, targets, number of sequences) for every batch of one epoch; iterated anew each epoch.

    Args:
        model: the network: its first layer tells whether integers are to become floats.
        data: a pair of arrays, or an iterable of such pairs; or the inputs alone.
        targets: where data are the inputs alone.
        batch_size: sequences in a batch cut from arrays; the last batch holds what is left.
        axis: where the sequences are counted; a pair if it is another place in the targets.
        shuffle: draws the order of the sequences for each epoch; None keeps it.
        name: what errors call the data.

    Raises:
        ValueError: if the arrays do not hold equally many sequences, at least one.
        TypeError: for what is neither, and for what holds no numbers.
    """

    def __init__(
        self,
        model: Module,
        data: Data,
        targets: Any,
        batch_size: int,
        axis: Axis,
        shuffle: np.random.Generator | None,
        name: str = "data",
    ) -> None:
        self.model, self.name, self.batch_size, self.shuffle = model, name, batch_size, shuffle
        self.axes = axes_of(axis)
        self.arrays: tuple[Array, Array] | None = None
        self.batches = data
        if targets is not None:
            self.arrays = self._arrays(data, targets)
        elif _is_pair_of_arrays(data):
            self.arrays = self._arrays(*data)
        else:
            _check_iterable(data, name)
        if self.arrays is not None:
            self.sequences = self._count(*self.arrays)

    @property
    def is_one_shot(self) -> bool:
        """Whether the batches can be gone over once only, as a generator's."""
        return self.arrays is None and isinstance(self.batches, Iterator)

    def __iter__(self) -> Iterator[tuple[Array, Array, int]]:
        if self.arrays is None:
            for batch in self.batches:
                inputs, targets = self._pair(batch)
                yield inputs, targets, self._count(inputs, targets)
            return
        order = np.arange(self.sequences)
        if self.shuffle is not None:
            self.shuffle.shuffle(order)
        for start in range(0, self.sequences, self.batch_size):
            chosen = order[start : start + self.batch_size]
            inputs = np.take(self.arrays[0], chosen, self.axes[0])
            yield inputs, np.take(self.arrays[1], chosen, self.axes[1]), len(chosen)

    def count(self) -> int | None:
        """Batches in an epoch, None if only going over them tells."""
        if self.arrays is not None:
            return -(-self.sequences // self.batch_size)
        return len(self.batches) if isinstance(self.batches, Sized) else None

    def counting(self) -> tuple[int, bool]:
        """The axis of the inputs that counts the sequences, and whether their order is drawn."""
        return self.axes[0], self.arrays is not None and self.shuffle is not None

    def _pair(self, batch: Any) -> tuple[Array, Array]:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise ValueError(
                f"Every batch of {self.name} should be a pair (inputs, targets), got {type(batch).__name__}"
                f"{f' of {len(batch)}' if isinstance(batch, (tuple, list)) else ''}."
            )
        return self._arrays(*batch)

    def _arrays(self, inputs: Any, targets: Any) -> tuple[Array, Array]:
        words = (f"the {word} of {self.name}" for word in ("inputs", "targets"))
        return as_input(self.model, inputs, next(words)), numbers(next(words), targets)

    def _count(self, inputs: Array, targets: Array) -> int:
        sizes: list[int] = []
        for word, array, axis in zip(("inputs", "targets"), (inputs, targets), self.axes, strict=True):
            if not -array.ndim <= axis < array.ndim:
                raise ValueError(f"{self.name}: {word} of shape {array.shape} have no batch_axis {axis}.")
            sizes.append(array.shape[axis])
        if sizes[0] != sizes[1] or not sizes[0]:
            raise ValueError(
                f"{self.name} should hold equally many sequences in inputs and targets, at least one; got "
                f"inputs {inputs.shape} and targets {targets.shape}, counted along axes {self.axes}. "
                "batch_axis tells where they are: 1 for [T,B,I], (1, 0) if the targets are [B,...]."
            )
        return sizes[0]


def _is_pair_of_arrays(data: Any) -> bool:
    """Whether this is (inputs, targets), and not two batches."""
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        return False
    if any(hasattr(part, "shape") for part in data):
        return True
    return all(isinstance(part, list) for part in data) and not any(map(_is_batch, data))


def _is_batch(part: Any) -> bool:
    return isinstance(part, list) and len(part) == 2 and all(hasattr(array, "shape") for array in part)


def _check_iterable(data: Any, name: str) -> None:
    """TypeError for what gives no pairs when it is gone over."""
    is_alone = hasattr(data, "shape") or isinstance(data, (str, bytes, dict))
    if is_alone or not isinstance(data, Iterable):
        raise TypeError(
            f"{name} should be a pair (inputs, targets) of arrays or an iterable of such pairs, "
            f"got {type(data).__name__}{' alone' if hasattr(data, 'shape') else ''}."
        )
