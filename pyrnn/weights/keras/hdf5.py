"""HDF5 files from strangers: what Keras keeps in one, or a ValueError before memory is taken for it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any

import numpy as np

from pyrnn.module import Array

HARMLESS_NAMES = 2**30  # bytes that the strings of one attribute may take
MAX_ENTRIES = 10_000  # groups, arrays and names: far beyond any chain of layers
FILTERS = {1, 2, 3}  # deflate, shuffle, fletcher32: HDF5's own; others would be looked for as plug-ins on the disk
OF_THE_OPTIMIZER = ("optimizer", "optimizer_weights", "_optimizer")
TEXTS = ("model_config", "keras_version", "backend")


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


def read(source: str | bytes, allowance: int) -> Contents:
    """All arrays of the HDF5 file of this path, or of these bytes, but the optimizer's.

    Args:
        source: a path, or the bytes of a file.
        allowance: bytes that the arrays may take.

    Raises:
        ValueError: if the file is damaged, or holds other things than arrays of real numbers, strings and groups.
        OSError: if it cannot be opened at all.
        ImportError: if h5py is not installed.
    """
    h5py = _package()
    stream = io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")  # noqa: SIM115
    with stream:
        try:
            with h5py.File(stream, "r") as file:
                return _Reader(h5py, allowance, stream.seek(0, 2)).contents(file)
        except (OSError, KeyError, RuntimeError, TypeError, UnicodeError, OverflowError) as error:
            raise ValueError(f"its HDF5 data are damaged ({str(error)[:200]})") from error


class _Reader:
    def __init__(self, h5py: Any, allowance: int, size: int) -> None:
        self._h5py, self._left, self._size, self._entries = h5py, allowance, size, 0

    def contents(self, file: Any) -> Contents:
        texts = {name: text for name in TEXTS if (text := self._text(file, name)) is not None}
        root = self._member(file, "model_weights") if "model_weights" in file else file
        for name in TEXTS[1:]:  # a file of weights alone has them, if at all, at the same place as the arrays
            if name not in texts and (text := self._text(root, name)) is not None:
                texts[name] = text
        return Contents(texts, self._names(root, "layer_names"), dict(self._arrays(root, "", 0)))

    def _arrays(self, group: Any, path: str, depth: int) -> Iterator[tuple[str, Array]]:
        if depth > 100:
            raise ValueError("its groups are nested more than 100 deep")
        for name in group:
            self._entries += 1
            if self._entries > MAX_ENTRIES:
                raise ValueError(f"it has more than {MAX_ENTRIES} groups and arrays")
            if depth == 0 and name in OF_THE_OPTIMIZER:
                continue
            member = self._member(group, name)
            if isinstance(member, self._h5py.Group):
                yield from self._arrays(member, f"{path}{name}/", depth + 1)
            elif isinstance(member, self._h5py.Dataset):
                yield path + name, self._array(member, path + name)

    def _member(self, group: Any, name: str) -> Any:
        """What a group holds under a name. A link, to another file above all, is not followed."""
        if not isinstance(group.get(name, getlink=True), self._h5py.HardLink):
            raise ValueError(f"its entry {name!r} is a link")
        return group[name]

    def _array(self, dataset: Any, path: str) -> Array:
        if dataset.dtype.kind not in "fiu" or dataset.shape is None:
            raise ValueError(f"its array {path!r} has dtype {dataset.dtype}; only real numbers are loaded")
        properties = dataset.id.get_create_plist()
        filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
        if dataset.is_virtual or properties.get_external_count() or not filters <= FILTERS:
            raise ValueError(f"its array {path!r} lies in another file, or is packed by a plug-in")
        self._left -= dataset.size * dataset.dtype.itemsize
        if self._left < 0:
            raise ValueError("its arrays would take more than 64 times the size of the file")
        return np.asarray(dataset[()])

    def _text(self, group: Any, name: str) -> str | None:
        if name not in group.attrs:
            return None
        if group.attrs.get_id(name).shape != ():
            raise ValueError(f"its attribute {name!r} should be one string")
        return _string(group.attrs[name], name)

    def _names(self, group: Any, name: str) -> list[str] | None:
        """A list of strings; Keras cuts a long one into the attributes `name0`, `name1`, ..."""
        if name in group.attrs:
            return self._strings(group, name)
        parts = list(takewhile(lambda part: part in group.attrs, (f"{name}{i}" for i in count())))
        return [string for part in parts for string in self._strings(group, part)] if parts else None

    def _strings(self, group: Any, name: str) -> list[str]:
        shape = group.attrs.get_id(name).shape
        if shape is None or len(shape) != 1 or shape[0] > MAX_ENTRIES:
            raise ValueError(f"its attribute {name!r} should be a list of at most {MAX_ENTRIES} strings")
        # Every string may be the whole file: HDF5 lets them share their bytes.
        if shape[0] * self._size > max(64 * self._size, HARMLESS_NAMES):
            raise ValueError(f"its attribute {name!r} has {shape[0]} strings, too many for a file of this size")
        return [_string(value, name) for value in group.attrs[name]]


def _string(value: Any, name: str) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, str):
        raise ValueError(f"its attribute {name!r} should hold text, got {type(value).__name__}")
    return value


def _package() -> Any:
    try:
        import h5py
    except ImportError as error:
        message = 'files of Keras need the package h5py: pip install "pyrnn-cpu[keras]"'
        raise ImportError(message) from error
    return h5py
