"""Defines Placeholder, which a loaded tree holds where the file has an object that pyrnn does not load."""

from __future__ import annotations

from .quoting import escaped


class Placeholder:
    """Replaces an object that was not loaded: the reader keeps its name, and imports, calls and stores nothing of it.

    Attributes:
        name: the class of the object, or the function that would have made it, as the file names it.

    >>> Placeholder("argparse.Namespace")
    <argparse.Namespace, not loaded>
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{escaped(self.name)}, not loaded>"
