"""Scale standardizes numbers by the mean and deviation of a training part, even if that part is constant."""

from __future__ import annotations

import numpy as np

from pyrnn.checks.arrays import Array

ROUNDING = 2.0**-40  # relative; larger than the float64 error of, for example, sin(x) for x in the thousands


class Scale:
    """Subtracts the mean of known values and divides by their standard deviation, column by column.

    A column that is constant, but for rounding, tells a model nothing, and its deviation cannot divide. `apply` makes
    0 of such a column, and `undo` makes its mean of that 0.

    Args:
        known: [N] or [N,F], the values of the training part.
        size: the magnitude of the numbers that `known` was computed from, one for each column; None for the largest of
            `known` itself. The rounding error of a difference depends on the size of the numbers subtracted.

    Attributes:
        mean: the mean of each column.
        deviation: the standard deviation of each column; 0 where it is constant.

    Example:
        >>> scale = Scale(np.array([[1.0, 5.0], [3.0, 5.0]]))
        >>> scale.apply(np.array([[3.0, 7.0]])), scale.undo(np.array([[1.0, 1.0]]))
        (array([[1., 0.]]), array([[3., 5.]]))
    """

    def __init__(self, known: Array, size: Array | float | None = None) -> None:
        largest = np.abs(known).max(axis=0)
        # Without this division, the squares of tiny or huge values would underflow or overflow.
        unit = np.where(largest > 0, largest, 1.0)
        relative = known / unit
        self.mean: Array = relative.mean(axis=0) * unit
        deviation = relative.std(axis=0) * unit
        noise = ROUNDING * np.maximum(largest, 0.0 if size is None else size)
        self.deviation: Array = np.where(deviation > noise, deviation, 0.0)

    def apply(self, values: Array) -> Array:
        """Returns the values in standard deviations from the mean."""
        divisor = np.where(self.deviation > 0, self.deviation, np.inf)
        scaled: Array = (values - self.mean) / divisor
        return scaled

    def undo(self, scaled: Array) -> Array:
        """Returns the values that `apply` would scale to these."""
        values: Array = self.mean + scaled * self.deviation
        return values
