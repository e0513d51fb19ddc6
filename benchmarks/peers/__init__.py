"""The libraries beside pyrnn, with a file each, which is imported when the library takes part.

To add a peer, write a file with `started(task, threads)`, a context manager whose value makes a Contestant of a case
and weights (names and layout of torch), and add the name of its package here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import packages_distributions, version

from pyrnn.checks.arrays import Array

from ..case import Case
from ..measure import Contestant

PEERS = {
    "inference": ("torch", "onnxruntime", "openvino"),
    "training": ("torch", "jax"),
    "streaming": ("onnxruntime", "torch"),
}

Maker = Callable[[Case, Mapping[str, Array]], Contestant]


@dataclass(frozen=True)
class Peers:
    """The peers that take part.

    Attributes:
        makers: functions that make the contestant of a case, by name.
        missing: names of those that are not installed.
    """

    makers: dict[str, Maker] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def versions(self) -> dict[str, str]:
        """The versions of their packages."""
        return versions(self.makers)


def versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of packages by their names of import; a distribution may have another name, as onnxruntime-gpu.

    >>> list(versions(["numpy"]))
    ['numpy']
    """
    distributions = packages_distributions()
    return {name: version(distributions[name][0]) for name in names}


@contextmanager
def started(task: str, threads: int) -> Iterator[Peers]:
    """Starts the peers of a task with so many threads each; one that is not installed is left out and named."""
    peers = Peers()
    with ExitStack() as running:
        for name in PEERS[task]:
            try:
                peer = import_module(f"{__name__}.{name}")
            except ImportError as error:
                if (error.name or "pyrnn").startswith(("benchmarks", "pyrnn")):
                    raise
                peers.missing.append(name)
            else:
                peers.makers[name] = running.enter_context(peer.started(task, threads))
        yield peers
