"""Standardizing by what a training part holds, where it may hold nothing but a constant."""

from __future__ import annotations

import numpy as np

from pyrnn.checks.arrays import Array

ROUNDING = 2.0**-40  # of a value's size: the sine of an argument of thousands, in float64, errs by less


class Scale:
    """Subtracts the mean of known values and divides by their standard deviation, column by column.

    A column that is constant, but for rounding, has no standard deviation to divide by. It tells a model nothing,
    and nothing is left to learn of it: such a column is scaled to 0, and 0 back to its mean.

    Args:
        known: [N] or [N,F], the values of the training part.
        size: magnitude of the numbers that `known` was computed from, one a column; None for the largest of
            `known` itself. The differences of large numbers are rounded as those are.

    Attributes:
        mean: of each column.
        deviation: of each column; 0 where it is constant.

    Example:
        >>> scale = Scale(np.array([[1.0, 5.0], [3.0, 5.0]]))
        >>> scale.apply(np.array([[3.0, 7.0]])), scale.undo(np.array([[1.0, 1.0]]))
        (array([[1., 0.]]), array([[3., 5.]]))
    """

    def __init__(self, known: Array, size: Array | float | None = None) -> None:
        largest = np.abs(known).max(axis=0)
        # The squares of tiny or huge values would underflow or overflow.
        unit = np.where(largest > 0, largest, 1.0)
        relative = known / unit
        self.mean: Array = relative.mean(axis=0) * unit
        deviation = relative.std(axis=0) * unit
        noise = ROUNDING * np.maximum(largest, 0.0 if size is None else size)
        self.deviation: Array = np.where(deviation > noise, deviation, 0.0)

    def apply(self, values: Array) -> Array:
        """The values in standard deviations from the mean."""
        divisor = np.where(self.deviation > 0, self.deviation, np.inf)
        scaled: Array = (values - self.mean) / divisor
        return scaled

    def undo(self, scaled: Array) -> Array:
        """The values that `apply` would scale to these."""
        values: Array = self.mean + scaled * self.deviation
        return values
