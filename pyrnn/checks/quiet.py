"""Switches NumPy's warnings about NaN and infinity off in a block or function; torch computes without them too."""

from __future__ import annotations

from typing import Any

import numpy as np


class Quiet(np.errstate):
    """Is an np.errstate that threads may share as a decorator: it saves 0.9 of the 1.4 us that a `with` block takes.

    NumPy 1's decorator keeps the settings to restore in one object for all threads; this one makes an errstate for
    each call.
    """

    def __init__(self, **kinds: Any) -> None:
        super().__init__(**kinds)
        self.kinds = kinds

    def _recreate_cm(self) -> np.errstate:
        return np.errstate(**self.kinds)


quiet = Quiet(all="ignore")
