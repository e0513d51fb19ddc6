"""Placeholder: what stands in a loaded tree where the file holds an object that is not loaded."""

from __future__ import annotations

from .quoting import escaped


class Placeholder:
    """Stands for an object of a file of which nothing was imported, called or kept but the name.

    Attributes:
        name: of its class or of the function that would have made it, as the file says.

    >>> Placeholder("argparse.Namespace")
    <argparse.Namespace, not loaded>
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{escaped(self.name)}, not loaded>"
