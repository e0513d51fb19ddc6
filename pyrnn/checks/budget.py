"""Budget: how much memory a file may make the process take. Every reader asks one before it takes memory."""

from __future__ import annotations

HARMLESS = 2**24  # bytes that any file may take
RATIO = 64  # times its length: compressed zeros and shared storages honestly take more than the file


class Budget:
    """Bytes that the contents of one file may take, all arrays, texts and layers together.

    Args:
        length: of the file, in bytes. It may take 64 times as much, and 16 MiB more.
        limit: bytes in place of that: what the caller's `limit=` says.

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
        """ValueError that names `what` if fewer than `size` bytes are left."""
        if size > self.left:
            raise ValueError(
                f"{what} would take {size} bytes; of the {self.total} bytes that this file may take {self.left} are "
                "left. If you trust it, raise limit="
            )

    def spend(self, size: int, what: str) -> None:
        """Takes `size` bytes off what is left, or raises as `check` does."""
        self.check(size, what)
        self.left -= size
