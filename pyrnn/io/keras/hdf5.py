"""Reads what Keras keeps in untrusted HDF5 files, or raises ValueError before it allocates memory for it.

pyfive parses them in pure Python. HDF5's own library, which h5py uses, never returns from some damaged files and
cannot be interrupted. It also allocates 2 GB for a string that claims to be so long, and returns uninitialised memory
where a chunk is shorter than it claims. Here all reading is bounded: `Bounded` counts the reads, and a Budget the
bytes they take.
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

MAX_ENTRIES = 10_000  # Groups, arrays and names together may be this many, far more than any chain of layers has.
MAX_DEPTH = 100  # Groups may nest this deep.
OF_THE_OPTIMIZER = ("optimizer", "optimizer_weights", "_optimizer")
TEXTS = ("model_config", "keras_version", "backend")
WANTED = re.compile(rf"{'|'.join(TEXTS)}|layer_names\d*")  # Only these attributes are read.


@dataclass(frozen=True)
class Contents:
    """Holds what Keras keeps in an HDF5 file.

    Attributes:
        texts: the attributes model_config, keras_version and backend, as far as the file has them.
        layer_names: the names in the model's order, or None (files of Keras 3 have no such list).
        arrays: the arrays by path; the path begins below "model_weights" if the file has that group.
    """

    texts: dict[str, str]
    layer_names: list[str] | None
    arrays: dict[str, Array]


def read(source: str | bytes, budget: Budget) -> Contents:
    """Reads all arrays of an HDF5 file except the optimizer's.

    Args:
        source: the path of a file, or its bytes.
        budget: limits what the arrays and texts may take.

    Returns:
        The texts, the names of the layers and the arrays.

    Raises:
        ValueError: if the file is damaged, or holds anything but arrays of real numbers, strings and groups.
        OSError: if it cannot be opened.
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
        for name in TEXTS[1:]:  # In a file of weights alone they stand, if at all, beside the arrays.
            if name in attributes:
                texts.setdefault(name, _text(attributes[name], name))
        return Contents(texts, _names(attributes), dict(self._arrays(entries, "", 0)))

    def _opened(self, address: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Returns the attributes and the entries of a group."""
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
                del found  # Its messages may be many, and groups nest.
                yield from self._arrays(below, f"{path}{name}/", depth + 1)


def _address(entries: dict[str, Any], name: str) -> int:
    """Returns the address of an entry. It follows no link, since a link may lead to itself or to another file."""
    address = entries[name]
    if not isinstance(address, int):
        raise ValueError(f"its entry {quoted(name)} is a link")
    return address


def _text(value: Any, name: str) -> str:
    if not isinstance(value, bytes):
        raise ValueError(f"its attribute {quoted(name)} should be one string")
    return _decoded(value, name)


def _names(attributes: dict[str, Any]) -> list[str] | None:
    """Returns the names of the layers; Keras cuts a long list into `layer_names0`, `layer_names1`, ..."""
    parts = ["layer_names"]
    if parts[0] not in attributes:
        parts = list(takewhile(attributes.__contains__, (f"layer_names{i}" for i in count())))
    for name in parts:
        if not isinstance(attributes[name], list) or len(_strings(attributes[name])) < len(attributes[name]):
            raise ValueError(f"its attribute {quoted(name)} should be a list of strings")
    return [_decoded(value, name) for name in parts for value in attributes[name]] if parts else None


def _strings(value: Any) -> list[bytes]:
    """Returns the strings in the value of an attribute, as `Objects` gives it."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, bytes)]


def _decoded(value: bytes, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"its attribute {quoted(name)} is no text in UTF-8") from error


@contextmanager
def _parsing() -> Iterator[None]:
    """Turns pyfive's errors into ValueError: it checks by assertions, and wrong numbers raise any error of Python."""
    try:
        yield
    except (MemoryError, OSError):
        raise
    except Exception as error:
        if type(error) is ValueError:  # The message says already what is wrong.
            raise
        # pyfive's own errors describe the damage; those that Python raises do not.
        says = type(error).__name__ in ("InvalidHDF5File", "NotImplementedError")
        why = quoted(error)[1:-1] if says and str(error) else "a part of it does not have the form that HDF5 gives it"
        raise ValueError(f"its HDF5 data are damaged ({why})") from error


def _check_package() -> None:
    try:
        import pyfive  # noqa: F401
    except ImportError as error:
        message = 'files of Keras need the package pyfive: pip install "pyrnn-cpu[keras]"'
        raise ImportError(message) from error
