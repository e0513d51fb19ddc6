"""Batches yields the batches of an epoch, which it cuts from a pair of arrays, or which the caller made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Any

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.core.module import Module
from pyrnn.nn.taking import as_input, axes_of

from .loss_inputs import numbers

Data = Any  # a pair of arrays, or an iterable of pairs; checks/arrays.py lists what it accepts as an array
Axis = int | tuple[int, int]


class Batches:
    """Yields (inputs, targets, number of sequences) for every batch of an epoch; each iteration is a new epoch.

    Args:
        model: the network, whose first layer tells whether integers become floats.
        data: a pair of arrays, or an iterable of such pairs; or the inputs alone.
        targets: the targets if data are the inputs alone.
        batch_size: the number of sequences in a batch cut from arrays; the last batch holds the rest.
        axis: the axis that counts the sequences; a pair if inputs and targets differ in it.
        shuffle: the generator that draws the order of the sequences for each epoch; None keeps their order.
        name: the name of the data in errors.

    Raises:
        ValueError: if the arrays do not hold equally many sequences, at least one.
        TypeError: for data of another kind, and for arrays that hold no numbers.
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
        """Whether one iteration uses the batches up, as with a generator."""
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
        """Returns the number of batches in an epoch; None if only an iteration can tell."""
        if self.arrays is not None:
            return -(-self.sequences // self.batch_size)
        return len(self.batches) if isinstance(self.batches, Sized) else None

    def counting(self) -> tuple[int, bool]:
        """Returns the axis of the inputs that counts the sequences, and whether their order is drawn."""
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
    """Whether this is a pair (inputs, targets) and not a list of two batches."""
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        return False
    if any(hasattr(part, "shape") for part in data):
        return True
    return all(isinstance(part, list) for part in data) and not any(map(_is_batch, data))


def _is_batch(part: Any) -> bool:
    return isinstance(part, list) and len(part) == 2 and all(hasattr(array, "shape") for array in part)


def _check_iterable(data: Any, name: str) -> None:
    """Raises TypeError for data whose iteration cannot yield pairs."""
    is_alone = hasattr(data, "shape") or isinstance(data, (str, bytes, dict))
    if is_alone or not isinstance(data, Iterable):
        raise TypeError(
            f"{name} should be a pair (inputs, targets) of arrays or an iterable of such pairs, "
            f"got {type(data).__name__}{' alone' if hasattr(data, 'shape') else ''}."
        )
