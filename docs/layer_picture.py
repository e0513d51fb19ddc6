"""Draws layers.svg, the folders of pyrnn/ and csrc/, from the tables of their maps: `python docs/layer_picture.py`.

A line leads from a folder down to one that it uses. Left out are lines that others imply: of A to C where A uses B and
B uses C. A line that passes a row runs through a place of its own in that row.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = Path(__file__).with_name("layers.svg")
TITLES = {"pyrnn": "pyrnn/ (Python)", "csrc": "csrc/ (C++)"}
NAMES = {"_core": "_core: csrc/"}
BOX, HEIGHT, GAP, ROW, MARGIN = 92, 30, 14, 74, 24  # in pixels; GAP between boxes, ROW from one row to the next
THIN = 8  # the width that a passing line takes

Uses = dict[str, list[str]]


def map_of(tree: Path) -> Uses:
    """The folders in the order of the map, and the folders that each may use."""
    rows = re.findall(r"^\| `(\w+)/` \|.*\|([^|]*)\|$", (tree / "README.md").read_text(), re.M)
    return {folder: re.findall(r"`(\w+)`", uses) for folder, uses in rows}


def uses_of(tree: str) -> Uses:
    """The map of a tree with the compiled core, if it is used, on the ground."""
    uses = map_of(ROOT / tree)
    return {"_core": [], **uses} if any("_core" in used for used in uses.values()) else uses


def reduced(uses: Uses) -> Uses:
    """Without what follows from the rest."""
    reached: dict[str, set[str]] = {}
    for folder, used in uses.items():
        reached[folder] = set(used).union(*(reached[each] for each in used))
    return {
        folder: [each for each in used if not any(each in reached[other] for other in used)]
        for folder, used in uses.items()
    }


def rows_of(uses: Uses) -> tuple[list[list[str]], list[tuple[str, str]]]:
    """The rows from the ground up, and the lines, each from a row to the next below, in places "A>C" on the way."""
    rank: dict[str, int] = {}
    for folder, used in uses.items():
        rank[folder] = 1 + max((rank[each] for each in used), default=-1)
    rows: list[list[str]] = [[] for _ in range(1 + max(rank.values()))]
    lines = []
    for folder, used in uses.items():
        rows[rank[folder]].append(folder)
        for each in used:
            between = [f"{folder}>{each}>{row}" for row in range(rank[folder] - 1, rank[each], -1)]
            for row, place in zip(range(rank[folder] - 1, rank[each], -1), between, strict=True):
                rows[row].append(place)
            lines += pairwise([folder, *between, each])
    return rows, lines


def width(place: str) -> int:
    return THIN if ">" in place else BOX


def placed(rows: list[list[str]], lines: list[tuple[str, str]]) -> dict[str, float]:
    """The middle of each place: near those that it is joined with, in rows without overlap."""
    near: dict[str, list[str]] = {place: [] for row in rows for place in row}
    for one, other in lines:
        near[one].append(other)
        near[other].append(one)
    x = {place: float(number * BOX) for row in rows for number, place in enumerate(row)}
    for _ in range(60):
        for row in [*rows, *reversed(rows)]:
            wish = {place: sum(x[each] for each in near[place]) / len(near[place]) for place in row if near[place]}
            row.sort(key=lambda place, wish=wish: wish.get(place, x[place]))
            at: list[float] = []
            for place in row:
                least = at[-1] + (width(row[len(at) - 1]) + width(place)) / 2 + GAP if at else -1e9
                at.append(max(wish.get(place, x[place]), least))
            shift = sum(wish.get(place, x[place]) - found for place, found in zip(row, at, strict=True)) / len(row)
            x.update({place: found + shift for place, found in zip(row, at, strict=True)})
    return x


def panel(tree: str, left: float, rows_in_all: int) -> tuple[list[str], float]:
    """The drawing of one map from `left` on, and its width."""
    rows, lines = rows_of(reduced(uses_of(tree)))
    x = placed(rows, lines)
    first, last = min(x[p] - width(p) / 2 for p in x), max(x[p] + width(p) / 2 for p in x)
    at = {place: left + MARGIN + x[place] - first for place in x}
    ground = MARGIN + 44 + (rows_in_all - 1) * ROW
    top = {place: ground - number * ROW for number, row in enumerate(rows) for place in row}
    wide = last - first + 2 * MARGIN
    high = ground + HEIGHT + MARGIN - 4
    drawn = [
        f'<rect x="{left:.0f}" y="4" width="{wide:.0f}" height="{high:.0f}" rx="8" class="panel"/>',
        f'<text x="{left + MARGIN:.0f}" y="32" class="title">{TITLES[tree]}</text>',
    ]
    for one, other in lines:
        start, end = top[one] + (HEIGHT if ">" not in one else 0), top[other]
        bend = (end - start) / 2
        drawn.append(
            f'<path d="M{at[one]:.0f} {start:.0f}C{at[one]:.0f} {start + bend:.0f} {at[other]:.0f} {end - bend:.0f} '
            f'{at[other]:.0f} {end:.0f}"/>'
        )
        if ">" in other:
            drawn.append(f'<path d="M{at[other]:.0f} {end:.0f}V{end + HEIGHT:.0f}"/>')
            top[other] += HEIGHT
    for place in [place for place in x if ">" not in place]:
        kind = "core" if place == "_core" else "box"
        drawn += [
            f'<rect x="{at[place] - BOX / 2:.0f}" y="{top[place]:.0f}" width="{BOX}" height="{HEIGHT}" rx="5" '
            f'class="{kind}"/>',
            f'<text x="{at[place]:.0f}" y="{top[place] + 20:.0f}" class="name">{NAMES.get(place, place)}</text>',
        ]
    return drawn, wide


STYLE = """\
text{font-family:Helvetica,Arial,sans-serif;fill:#1b2733}
.title{font-size:17px;font-weight:bold}.name{font-size:14px;text-anchor:middle}
.panel{fill:#f5f7fa;stroke:#c5d0dc}.box{fill:#fff;stroke:#3b6ea5;stroke-width:1.5}
.core{fill:#fff;stroke:#3b6ea5;stroke-width:1.5;stroke-dasharray:4 3}
path{fill:none;stroke:#7d8ea1;stroke-width:1.5}"""


def picture() -> str:
    """The SVG."""
    most = max(len(rows_of(uses_of(tree))[0]) for tree in TITLES)
    drawn: list[str] = []
    left = 4.0
    for tree in TITLES:
        found, wide = panel(tree, left, most)
        drawn += found
        left += wide + 12
    height = 2 * MARGIN + 44 + (most - 1) * ROW + HEIGHT + 4
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left - 8:.0f}" height="{height}" '
        f'viewBox="0 0 {left - 8:.0f} {height}">',
        "<title>The folders of pyrnn/ and csrc/: each uses only what stands below it</title>",
        f"<style>{STYLE}</style>",
        f'<rect width="{left - 8:.0f}" height="{height}" fill="#fff"/>',
        *drawn,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(picture())
