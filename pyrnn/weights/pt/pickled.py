"""Writes the pickle inside a torch file, instruction by instruction.

pickle.Pickler cannot write it: to write the name torch.FloatStorage it imports torch and looks the class up.
"""

from __future__ import annotations

import math
import pickle as op
from collections.abc import Iterator, Mapping
from typing import Any

from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import quoted

from ..arrays import number_array
from .objects import STORAGES
from .unpickled import MAX_DEPTH

_STORAGE_OF = {dtype: name for name, dtype in STORAGES.items() if dtype}


def dumps(tree: Mapping[str, Any]) -> tuple[bytes, list[Array]]:
    """Writes nested dicts, lists, tuples, numbers, strings and None as a pickle (protocol 2), and collects the arrays.

    The array number k, little-endian and contiguous, belongs in the record data/k.

    Raises:
        TypeError: if an entry is none of these; the message names it.
        ValueError: if the nesting is too deep or endless.
    """
    arrays: list[Array] = []
    body = b"".join(_object(tree, "", arrays, 0))
    return op.PROTO + b"\x02" + body + op.STOP, arrays


def _object(value: Any, name: str, arrays: list[Array], depth: int) -> Iterator[bytes]:
    if depth > MAX_DEPTH:
        raise ValueError(f"{quoted(name)} is nested more than {MAX_DEPTH} deep")
    if isinstance(value, Mapping):
        yield op.EMPTY_DICT + op.MARK
        for key, item in value.items():
            if type(key) not in (str, int, float, bool, type(None)):
                raise TypeError(f"the keys of {quoted(name)} should be strings or numbers, got {quoted(key)}")
            yield _plain(key)
            yield from _object(item, f"{name}.{key}" if name else str(key), arrays, depth + 1)
        yield op.SETITEMS
    elif isinstance(value, (list, tuple)):
        is_list = isinstance(value, list)
        yield op.EMPTY_LIST + op.MARK if is_list else op.MARK
        for index, item in enumerate(value):
            yield from _object(item, f"{name}[{index}]", arrays, depth + 1)
        yield op.APPENDS if is_list else op.TUPLE
    elif type(value) in (str, int, float, bool, type(None)):
        yield _plain(value)
    else:
        arrays.append(number_array(value, name))
        yield from _tensor(arrays[-1], str(len(arrays) - 1))


def _tensor(array: Array, key: str) -> Iterator[bytes]:
    dtype = array.dtype.name
    typed = dtype in _STORAGE_OF  # Otherwise the storage has bytes, and the dtype is an argument.
    yield _global("torch._utils._rebuild_tensor_v2" if typed else "torch._utils._rebuild_tensor_v3") + op.MARK
    yield op.MARK + _plain("storage") + _global(_STORAGE_OF.get(dtype, "torch.storage.UntypedStorage"))
    yield _plain(key) + _plain("cpu") + _plain(array.size if typed else array.nbytes)
    yield op.TUPLE + op.BINPERSID
    yield _plain(0) + _plain(array.shape) + _plain(_strides(array.shape)) + _plain(False)
    yield _global("collections.OrderedDict") + op.EMPTY_TUPLE + op.REDUCE
    yield b"" if typed else _global(f"torch.{dtype}")
    yield op.TUPLE + op.REDUCE


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    # NumPy's own strides are arbitrary for axes of length 1.
    return tuple(math.prod(max(length, 1) for length in shape[axis + 1 :]) for axis in range(len(shape)))


def _global(name: str) -> bytes:
    module, _, attribute = name.rpartition(".")
    return op.GLOBAL + f"{module}\n{attribute}\n".encode()


def _plain(value: Any) -> bytes:
    return op.dumps(value, protocol=2)[2:-1]  # The slice removes the leading PROTO and the trailing STOP.
