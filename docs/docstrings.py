"""The docstrings of this project as reStructuredText: they are plain text, in which `*`, `|` and `_` mean themselves.

Names in backquotes become literals. An indented paragraph outside the sections (Args, Returns ...), such as the
equations of a layer, stays as it stands, and so does a paragraph that begins with an import. Napoleon reads the
sections after this.
"""

from __future__ import annotations

import re
from typing import Any

SECTION = re.compile(r"(Args|Attributes|Returns|Yields|Raises|Example|Examples|Source|Note):")
CODE = re.compile(r"(from [\w.]+ )?import \w+")
SPECIAL = re.compile(r"([*|\\]|_(?=\W|$)|(?<=: [A-Z])\.)")  # as in "input_size: I.", which would begin a list
LITERAL = re.compile(r"(``[^`]+``|`[^`]+`)")


def escaped(line: str) -> str:
    """A line of text, its names in backquotes as literals, and nothing else with a meaning."""
    pieces = LITERAL.split(line)
    plain = [SPECIAL.sub(r"\\\1", piece) for piece in pieces[::2]]
    names = [f"``{piece.strip('`')}``" for piece in pieces[1::2]]
    return "".join(text for pair in zip(plain, [*names, ""], strict=True) for text in pair)


def indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def as_rst(lines: list[str]) -> list[str]:
    found: list[str] = []
    in_section = in_block = in_code = in_doctest = False
    for line, before in zip(lines, ["", *lines], strict=False):
        if not line.strip():
            in_code = in_doctest = False
            found.append(line)
            continue
        if not indent(line):
            in_block, in_section = False, bool(SECTION.match(line))
        if not before.strip():  # a paragraph begins
            in_doctest = line.lstrip().startswith(">>>")
            in_code = not in_section and bool(CODE.match(line))
            if in_code or (indent(line) and not (in_section or in_block or in_doctest)):
                in_block = not in_code
                found += [".. code-block:: python" if in_code else ".. code-block:: text", ""]
        in_doctest = in_doctest or line.lstrip().startswith(">>>")
        verbatim = in_block or in_code or in_doctest
        found.append("    " * in_code + line if verbatim else escaped(line))
    return found


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = as_rst(lines)


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", process, priority=400)  # before napoleon
    return {"parallel_read_safe": True}
