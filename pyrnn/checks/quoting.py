"""Names from strangers' files inside sentences: short, and printable on any terminal."""

from __future__ import annotations

from collections.abc import Iterable

MOST_LETTERS = 100  # of one name
MOST_NAMES = 6  # of a list


def quoted(name: object) -> str:
    r"""A name in double quotes, cut to 100 letters; what a terminal cannot print is escaped.

    >>> print(quoted("weight"), quoted("a\ud800b\n"))
    "weight" "a\ud800b\n"
    """
    return f'"{escaped(name)}"'


def escaped(name: object) -> str:
    """As `quoted`, without the quotes."""
    text = str(name)
    shown = text[:MOST_LETTERS].encode("unicode_escape").decode("ascii")
    cut = len(text) > MOST_LETTERS or len(shown) > MOST_LETTERS  # an escaped letter may take ten
    return f"{shown[:MOST_LETTERS]}..." if cut else shown


def brief(value: object) -> str:
    """What a caller gave, as Python writes it: in ASCII, and cut to 100 letters.

    >>> print(brief("mse"), len(brief("x" * 10**6)))
    'mse' 105
    """
    try:
        text = ascii(value)
    except Exception:  # whatever the repr of a stranger's class raises, or that of an integer of many digits
        return f"a {type(value).__name__}"
    most = MOST_LETTERS + 2  # with the quotes or brackets around them
    return text if len(text) <= most else f"{text[: most - 1]}...{text[-1]}"


def listed(names: Iterable[object]) -> str:
    """The first six names, quoted, and how many more there are.

    >>> print(listed("abcdefgh"))
    "a", "b", "c", "d", "e", "f" and 2 more
    """
    every = list(names)
    shown = ", ".join(map(quoted, every[:MOST_NAMES]))
    left = len(every) - MOST_NAMES
    return f"{shown} and {left} more" if left > 0 else shown
