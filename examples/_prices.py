"""Loads the daily prices of Google's share, which `forecast` and `gradients` use."""

from __future__ import annotations

import numpy as np

from pyrnn.checks.arrays import Array

try:
    from matplotlib import cbook
except ImportError as error:
    raise ImportError(f'this example needs {error.name}: pip install "pyrnn-cpu[examples]"') from error


def load_prices() -> Array:
    """1047 days from August 2004 to October 2008, with the fields open, high, low, close, volume and adj_close."""
    with np.load(cbook.get_sample_data("goog.npz", asfileobj=False)) as file:
        days: Array = file["price_data"]
    return days
