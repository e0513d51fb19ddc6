"""Warns, once each, about calls that run but compute something else than the caller probably means."""

from __future__ import annotations

import os
import sys
import warnings
import weakref

_TOLD: dict[int, set[str]] = {}  # The keys are ids, since a caller's module may not be hashable.
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def caution(owner: object, cause: str, sentence: str) -> None:
    """Warns once for each owner and cause; the warning points at the calling line outside the package.

    Args:
        owner: the module that the warning is about; this function does not keep it alive.
        cause: a short key; a second warning of the same owner and key is not given.
        sentence: the text, which says what is wrong and what to write.
    """
    if was_told(owner, cause):
        return
    if id(owner) not in _TOLD:
        _TOLD[id(owner)] = set()
        weakref.finalize(owner, _TOLD.pop, id(owner), None).atexit = False
    _TOLD[id(owner)].add(cause)
    warnings.warn(sentence, UserWarning, stacklevel=_level_of_the_caller())


def was_told(owner: object, cause: str) -> bool:
    """Tells whether `caution` has already warned this owner about this cause."""
    return cause in _TOLD.get(id(owner), ())


def _level_of_the_caller() -> int:
    """Returns the `stacklevel` with which `caution` points at the first frame outside the package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and os.path.abspath(frame.f_code.co_filename).startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
