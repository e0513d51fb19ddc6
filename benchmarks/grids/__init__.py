"""A file for each grid, and the options and results that all grids share.

sequences    infer and train: layers on NumPy arrays beside every peer
streaming    stream: one step, from C++ and from Python
formats      quantize: smaller weights beside float32
drop_ins     torch: the modules of pyrnn.torch beside torch.nn
cold_start   load: fresh processes
growth       growth: time against size

To add a grid, write a file with `opened(options)`, its line in run.py with the function that draws it, and its name
in __main__.py (`What`). To add a size to a grid, see shapes.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table


@dataclass(frozen=True)
class Options:
    """The options of a grid.

    Attributes:
        what: the name of the grid.
        seconds: the time for all lines together; every line has three rounds even if they take longer.
        threads: the threads of every contestant.
        cell: "LSTM", "GRU", "RNN", or None for all.
    """

    what: str
    seconds: float
    threads: int = 1
    cell: str | None = None


@dataclass(frozen=True)
class Grid:
    """A grid whose contestants are ready.

    Attributes:
        rows: an iterator that measures; each row has record(), its data for JSON, and a str for the progress.
        count: the number of rows.
        tables: the tables of all rows.
        versions: the versions of the peers, by name.
        missing: names of peers that are not installed.
        limits: the machine's limits (roofline.Machine.limits), if they were measured.
    """

    rows: Iterator[Any]
    count: int
    tables: Callable[[Sequence[Any]], Iterable[Table]]
    versions: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    limits: dict[str, float] = field(default_factory=dict)
