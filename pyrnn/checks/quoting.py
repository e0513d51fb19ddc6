"""Prepares names from untrusted files for sentences: it shortens them and escapes what a terminal cannot print."""

from __future__ import annotations

from collections.abc import Iterable

MOST_LETTERS = 100  # A name is cut to this many letters.
MOST_NAMES = 6  # A list shows this many names.


def quoted(name: object) -> str:
    r"""Puts a name in double quotes, cut to 100 letters, with unprintable characters escaped.

    >>> print(quoted("weight"), quoted("a\ud800b\n"))
    "weight" "a\ud800b\n"
    """
    return f'"{escaped(name)}"'


def escaped(name: object) -> str:
    """Does the same as `quoted`, without the quotes."""
    text = str(name)
    shown = text[:MOST_LETTERS].encode("unicode_escape").decode("ascii")
    cut = len(text) > MOST_LETTERS or len(shown) > MOST_LETTERS  # An escaped letter takes up to ten.
    return f"{shown[:MOST_LETTERS]}..." if cut else shown


def brief(value: object) -> str:
    """Shows a caller's value as Python writes it, in ASCII and cut to 100 letters.

    >>> print(brief("mse"), len(brief("x" * 10**6)))
    'mse' 105
    """
    try:
        text = ascii(value)
    # The repr of a caller's class may raise anything; that of an integer with too many digits raises too.
    except Exception:
        return f"a {type(value).__name__}"
    most = MOST_LETTERS + 2  # The two are the quotes or brackets around the value.
    return text if len(text) <= most else f"{text[: most - 1]}...{text[-1]}"


def listed(names: Iterable[object]) -> str:
    """Lists the first six names in quotes, and says how many more there are.

    >>> print(listed("abcdefgh"))
    "a", "b", "c", "d", "e", "f" and 2 more
    """
    every = list(names)
    shown = ", ".join(map(quoted, every[:MOST_NAMES]))
    left = len(every) - MOST_NAMES
    return f"{shown} and {left} more" if left > 0 else shown
