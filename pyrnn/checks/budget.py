"""Limits how much memory the contents of a file may take; each reader asks a Budget before it allocates."""

from __future__ import annotations

HARMLESS = 2**24  # Any file may take this many bytes.
# A file may take this many times its length: compressed zeros and shared storages rightly take more than the file.
RATIO = 64


class Budget:
    """Counts the bytes that the contents of one file may take: arrays, texts and layers together.

    Args:
        length: the length of the file in bytes. Its contents may take 64 times as much, and 16 MiB more.
        limit: the number of bytes that replaces this rule, or None; callers set it with `limit=`.

    >>> budget = Budget(1000, limit=4096)
    >>> budget.spend(4000, "its array x")
    >>> budget.spend(4000, "its array y")
    Traceback (most recent call last):
    ...
    ValueError: its array y would take 4000 bytes; of the 4096 bytes that this file may take 96 are left. If you \
trust it, raise limit=
    """

    def __init__(self, length: int, limit: int | None = None) -> None:
        self.total = self.left = RATIO * length + HARMLESS if limit is None else limit

    def check(self, size: int, what: str) -> None:
        """Raises ValueError, which names `what`, if fewer than `size` bytes are left."""
        if size > self.left:
            raise ValueError(
                f"{what} would take {size} bytes; of the {self.total} bytes that this file may take {self.left} are "
                "left. If you trust it, raise limit="
            )

    def spend(self, size: int, what: str) -> None:
        """Subtracts `size` bytes from what is left, or raises as `check` does."""
        self.check(size, what)
        self.left -= size
