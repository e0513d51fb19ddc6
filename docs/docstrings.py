"""The docstrings of this project as reStructuredText: they are plain text, in which `*`, `|` and `_` mean themselves.

Names in backquotes become literals, and an indented paragraph outside the sections (Args, Returns ...), such as the
equations of a layer, stays as it stands. What napoleon makes of the sections comes after this.
"""

from __future__ import annotations

import re
from typing import Any

SECTION = re.compile(r"(Args|Attributes|Returns|Yields|Raises|Example|Examples|Source|Note):")
LITERAL = re.compile(r"(``[^`]+``|`[^`]+`)")


def escaped(line: str) -> str:
    """A line of text, its names in backquotes as literals, and nothing else with a meaning."""
    pieces = LITERAL.split(line)
    plain = [re.sub(r"([*|\\]|_(?=\W|$))", r"\\\1", piece) for piece in pieces[::2]]
    names = [f"``{piece.strip('`')}``" for piece in pieces[1::2]]
    return "".join(text for pair in zip(plain, [*names, ""], strict=True) for text in pair)


def indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def as_rst(lines: list[str]) -> list[str]:
    found: list[str] = []
    in_section = in_block = in_doctest = False
    for number, line in enumerate(lines):
        if not line.strip():
            in_doctest = False
            found.append(line)
            continue
        if indent(line) == 0:
            in_block, in_section = False, bool(SECTION.match(line))
        if line.lstrip().startswith(">>>") and not in_doctest:
            in_doctest = True
        starts_block = indent(line) and not in_section and not in_block and not (number and lines[number - 1].strip())
        if starts_block and not in_doctest:
            in_block = True
            found += ["::", ""]
        found.append(line if in_block or in_doctest else escaped(line))
    return found


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = as_rst(lines)


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", process, priority=400)  # before napoleon
    return {"parallel_read_safe": True}
