"""HDF5 files from strangers: what Keras keeps in one, or a ValueError before memory is taken for it.

pyfive reads them, in pure Python. HDF5's own library, below h5py, goes round for ever on some damaged files, takes
2 GB for a string that says it has them, and gives what lay in memory where a chunk is shorter than it says; a call of
it cannot be interrupted. What is read here is bounded: `Bounded` counts the reads, a Budget what they take.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, islice, takewhile
from typing import Any

from pyrnn.checks.arrays import Array
from pyrnn.checks.budget import Budget
from pyrnn.checks.quoting import quoted

from .bounded import Bounded

MAX_ENTRIES = 10_000  # groups, arrays and names: far beyond any chain of layers
MAX_DEPTH = 100  # of groups within groups
OF_THE_OPTIMIZER = ("optimizer", "optimizer_weights", "_optimizer")
TEXTS = ("model_config", "keras_version", "backend")
WANTED = re.compile(rf"{'|'.join(TEXTS)}|layer_names\d*")  # attributes that are read; all others are passed over


@dataclass(frozen=True)
class Contents:
    """What Keras keeps in an HDF5 file.

    Attributes:
        texts: those of the attributes model_config, keras_version, backend that are there.
        layer_names: in the order of the model, or None (files of Keras 3 have no such list).
        arrays: by path, from "model_weights" on where there is such a group.
    """

    texts: dict[str, str]
    layer_names: list[str] | None
    arrays: dict[str, Array]


def read(source: str | bytes, budget: Budget) -> Contents:
    """All arrays of the HDF5 file of this path, or of these bytes, but the optimizer's.

    Args:
        source: a path, or the bytes of a file.
        budget: what the arrays and texts may take.

    Raises:
        ValueError: if the file is damaged, or holds other things than arrays of real numbers, strings and groups.
        OSError: if it cannot be opened at all.
        ImportError: if pyfive is not installed.
    """
    _check_package()
    with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as stream:
        return _Reader(Bounded(stream), budget).contents()


class _Reader:
    def __init__(self, file: Bounded, budget: Budget) -> None:
        from . import dataset, objects

        self._dataset, self._objects = dataset, objects
        self._file, self._budget, self._entries = file, budget, 0

    def contents(self) -> Contents:
        with _parsing():
            root = self._objects.root_address(self._file)
        attributes, entries = self._opened(root)
        texts = {name: _text(attributes[name], name) for name in TEXTS if name in attributes}
        if "model_weights" in entries:
            attributes, entries = self._opened(_address(entries, "model_weights"))
        for name in TEXTS[1:]:  # a file of weights alone has them, if at all, at the same place as the arrays
            if name in attributes:
                texts.setdefault(name, _text(attributes[name], name))
        return Contents(texts, _names(attributes), dict(self._arrays(entries, "", 0)))

    def _opened(self, address: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """The attributes and the entries of a group."""
        with _parsing():
            group = self._objects.Objects(self._file, address, WANTED.fullmatch)
            attributes = group.get_attributes()
        strings = (string for value in attributes.values() for string in _strings(value))
        self._budget.spend(sum(map(len, strings)), "the strings of its attributes")
        return attributes, self._links(group)

    def _links(self, group: Any) -> dict[str, Any]:
        with _parsing():
            found = list(islice(group.iter_links(), MAX_ENTRIES + 1 - self._entries))
        self._entries += len(found)
        if self._entries > MAX_ENTRIES:
            raise ValueError(f"it has more than {MAX_ENTRIES} groups and arrays")
        return dict(found)

    def _arrays(self, entries: dict[str, Any], path: str, depth: int) -> Iterator[tuple[str, Array]]:
        if depth > MAX_DEPTH:
            raise ValueError(f"its groups are nested more than {MAX_DEPTH} deep")
        for name in entries:
            self._budget.spend(2 * len(path + name), "the names of its groups and arrays")
            if depth == 0 and name in OF_THE_OPTIMIZER:
                continue
            address = _address(entries, name)
            with _parsing():
                found = self._objects.Objects(self._file, address, lambda name: False)
                is_array = self._dataset.is_dataset(found)
            if is_array:
                with _parsing():
                    yield path + name, self._dataset.read_array(found, path + name, self._budget)
            else:
                below = self._links(found)
                del found  # its messages may be many, and groups nest
                yield from self._arrays(below, f"{path}{name}/", depth + 1)


def _address(entries: dict[str, Any], name: str) -> int:
    """Where an entry of a group lies. A link is not followed: it may go round in a ring, or to another file."""
    address = entries[name]
    if not isinstance(address, int):
        raise ValueError(f"its entry {quoted(name)} is a link")
    return address


def _text(value: Any, name: str) -> str:
    if not isinstance(value, bytes):
        raise ValueError(f"its attribute {quoted(name)} should be one string")
    return _decoded(value, name)


def _names(attributes: dict[str, Any]) -> list[str] | None:
    """The names of the layers; Keras cuts a long list into the attributes `layer_names0`, `layer_names1`, ..."""
    parts = ["layer_names"]
    if parts[0] not in attributes:
        parts = list(takewhile(attributes.__contains__, (f"layer_names{i}" for i in count())))
    for name in parts:
        if not isinstance(attributes[name], list) or len(_strings(attributes[name])) < len(attributes[name]):
            raise ValueError(f"its attribute {quoted(name)} should be a list of strings")
    return [_decoded(value, name) for name in parts for value in attributes[name]] if parts else None


def _strings(value: Any) -> list[bytes]:
    """The strings in the value of an attribute, as `Objects` gives it."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, bytes)]


def _decoded(value: bytes, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"its attribute {quoted(name)} is no text in UTF-8") from error


@contextmanager
def _parsing() -> Iterator[None]:
    """Inside the block pyfive parses: it checks with assertions and raises what Python raises at wrong numbers."""
    try:
        yield
    except (MemoryError, OSError):
        raise
    except Exception as error:
        if type(error) is ValueError:  # by name of what is wrong
            raise
        says = type(error).__name__ in ("InvalidHDF5File", "NotImplementedError")  # and not a slip of Python
        why = quoted(error)[1:-1] if says and str(error) else "a part of it does not have the form that HDF5 gives it"
        raise ValueError(f"its HDF5 data are damaged ({why})") from error


def _check_package() -> None:
    try:
        import pyfive  # noqa: F401
    except ImportError as error:
        message = 'files of Keras need the package pyfive: pip install "pyrnn-cpu[keras]"'
        raise ImportError(message) from error
