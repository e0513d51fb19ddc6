"""Warnings about calls that run, but compute something else than the caller probably means."""

from __future__ import annotations

import os
import sys
import warnings
import weakref

_TOLD: dict[int, set[str]] = {}  # by id, for a module of the caller's may have no hash
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def caution(owner: object, cause: str, sentence: str) -> None:
    """Warns once for each owner and cause, at the line outside the package that made the call.

    Args:
        owner: the module that the warning is about; it is not kept alive.
        cause: a short key, so that one cause is told once.
        sentence: what is wrong, and what to write.
    """
    if was_told(owner, cause):
        return
    if id(owner) not in _TOLD:
        _TOLD[id(owner)] = set()
        weakref.finalize(owner, _TOLD.pop, id(owner), None).atexit = False
    _TOLD[id(owner)].add(cause)
    warnings.warn(sentence, UserWarning, stacklevel=_level_of_the_caller())


def was_told(owner: object, cause: str) -> bool:
    """Whether `caution` has warned about this."""
    return cause in _TOLD.get(id(owner), ())


def _level_of_the_caller() -> int:
    """The stacklevel, for `caution`, of the first frame whose code is not the package's."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and os.path.abspath(frame.f_code.co_filename).startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
