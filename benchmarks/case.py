"""A case to measure: a cell, its sizes, and the arrays that every contestant gets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyrnn.checks.arrays import Array
from pyrnn.core.facts import GATES

CELLS = ("LSTM", "GRU", "RNN")


@dataclass(frozen=True)
class Case:
    """One line to measure.

    Attributes:
        task: "inference"; "training": forward, and backward to the gradients of inputs, initial states and weights; or
            "streaming": one step from a state to the next.
        cell: name of a class of torch.nn.
        steps: T.
        batch: B.
        input: I.
        hidden: H.
        dtype: "float32" or "float64".
        packed: whether the input is a PackedSequence.
    """

    task: str
    cell: str
    steps: int
    batch: int
    input: int
    hidden: int
    dtype: str = "float32"
    packed: bool = False

    @property
    def size(self) -> str:
        """T,B,I,H.

        >>> Case("training", "GRU", 100, 8, 64, 128).size
        '100,8,64,128'
        """
        return f"{self.steps},{self.batch},{self.input},{self.hidden}"

    @property
    def form(self) -> str:
        """The dtype, with "packed" for packed sequences."""
        return f"{self.dtype} packed" if self.packed else self.dtype

    @property
    def has_state(self) -> bool:
        """Whether layers start from a given state, not from zeros."""
        return self.task != "inference"

    def __str__(self) -> str:
        return f"{self.task} {self.cell} {self.size} {self.form}"

    def lengths(self) -> NDArray[np.int64]:
        """Steps of each sequence, [B]: T, or for packed ones drawn from T/4 to T by a fixed seed."""
        if not self.packed:
            return np.full(self.batch, self.steps)
        rng = np.random.default_rng(0)
        return rng.integers(max(1, self.steps // 4), self.steps, self.batch, endpoint=True)

    def draw(self) -> tuple[Array, Array]:
        """Input [T,B,I] and gradient of the output [T,B,H], of a fixed seed."""
        rng = np.random.default_rng(0)
        x, dy = (rng.standard_normal((self.steps, self.batch, width)) for width in (self.input, self.hidden))
        return x.astype(self.dtype), dy.astype(self.dtype)

    def state(self) -> list[Array]:
        """An initial state [1,B,H] of a fixed seed: h, and for the LSTM c."""
        h = np.tanh(np.random.default_rng(1).standard_normal((1, self.batch, self.hidden))).astype(self.dtype)
        return [h, 2 * h] if self.cell.startswith("LSTM") else [h]

    @property
    def flops(self) -> int:
        """Multiplications and additions of the matrix products; backward counts as two forwards."""
        weights = len(GATES[self.cell.removesuffix("Cell")]) * self.hidden * (self.input + self.hidden)
        return 2 * weights * int(self.lengths().sum()) * (3 if self.task == "training" else 1)
