"""The pickle inside a torch file: plain data of a few kinds, read without importing anything.

This is no unpickling: `pickletools.genops` cuts the bytes into instructions and `_Machine` carries out those
that build plain data. A name in the file is looked up in two tables here and nowhere else. (pickle.Unpickler
with a strict find_class would still set attributes, call methods by name and size its memo as the file says.)
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable, Iterator
from typing import Any

from pyrnn.weights.arrays import MAX_AXES, STORED

MAX_DEPTH = 100  # of nested dicts and lists: far from Python's recursion limit

# torch's storage classes, for its first ten dtypes; younger ones are stored untyped, with the dtype beside.
STORAGES = {
    "torch.DoubleStorage": "float64",
    "torch.FloatStorage": "float32",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
    "torch.UntypedStorage": None,
    "torch.storage.UntypedStorage": None,
}


class Name:
    """A global that the pickle names: never looked up, only compared."""

    def __init__(self, text: str) -> None:
        self.text = text


class Storage:
    """A record of the archive: `count` elements of a dtype, or bytes if the dtype is None."""

    def __init__(self, key: str, dtype: str | None, count: int) -> None:
        self.key, self.dtype, self.count = key, dtype, count


class Tensor:
    """A strided view of a record, as the file claims it; offset, size and stride count elements."""

    def __init__(
        self, storage: Storage, dtype: str, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
    ) -> None:
        self.storage, self.dtype, self.offset, self.size, self.stride = storage, dtype, offset, size, stride


class OrderedDict(dict[Any, Any]):
    """A dict that may be given attributes (torch's `_metadata`), which are dropped."""


def loads(data: bytes) -> Any:
    """The object that a pickle describes, with Tensor for tensors.

    Raises:
        ValueError: if the pickle is damaged or holds anything but numbers, strings, containers and tensors.
    """
    machine = _Machine()
    try:
        for opcode, argument in _instructions(data):
            machine.step(opcode, argument)
        return machine.stack.pop()
    except (IndexError, KeyError, TypeError) as error:
        raise ValueError(f"its pickle is damaged ({type(error).__name__}: {error})") from error


def _instructions(data: bytes) -> Iterator[tuple[str, Any]]:
    try:
        for opcode, argument, _ in pickletools.genops(data):
            yield opcode.name, argument
    except (ValueError, OverflowError, DeprecationWarning) as error:
        # the last where warnings are errors: pickletools warns at a backslash in a name
        raise ValueError(f"its pickle is damaged ({str(error)[:100]})") from error


class _Machine:
    """The part of pickle's stack machine that torch.save uses for plain data."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def step(self, opcode: str, argument: Any) -> None:
        push = self.stack.append
        match opcode:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE" | "SHORT_BINUNICODE":
                push(argument)
            case "NONE" | "NEWTRUE" | "NEWFALSE" | "EMPTY_TUPLE":
                push({"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}[opcode])
            case "EMPTY_LIST":
                push([])
            case "EMPTY_DICT":
                push({})
            case "MARK":
                self.marks.append(len(self.stack))
            case "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                push(tuple(self.pop_marked() if opcode == "TUPLE" else self.pop(int(opcode[-1]))))
            case "APPEND" | "APPENDS":
                self.append(self.pop(1) if opcode == "APPEND" else self.pop_marked())
            case "SETITEM" | "SETITEMS":
                self.set_items(self.pop(2) if opcode == "SETITEM" else self.pop_marked())
            case "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                self.memo[len(self.memo) if opcode == "MEMOIZE" else argument] = self.stack[-1]
            case "BINGET" | "LONG_BINGET":
                push(self.memo[argument])
            case "GLOBAL" | "STACK_GLOBAL":
                push(_named(*(self.pop(2) if opcode == "STACK_GLOBAL" else argument.split(" ", 1))))
            case "REDUCE":
                push(_built(*self.pop(2)))
            case "BUILD":
                self.drop_attributes()
            case "BINPERSID":
                push(_storage(*self.stack.pop()))
            case _:
                raise ValueError(f"its pickle uses the instruction {opcode}, which no state dict needs")

    def pop(self, count: int) -> list[Any]:
        return self.pop_from(len(self.stack) - count)

    def pop_marked(self) -> list[Any]:
        return self.pop_from(self.marks.pop())

    def pop_from(self, start: int) -> list[Any]:
        if not 0 <= start <= len(self.stack):
            raise IndexError("pop from an empty stack")
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def append(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise ValueError("its pickle appends to something that is no list")
        self.stack[-1].extend(items)

    def set_items(self, items: list[Any]) -> None:
        if type(self.stack[-1]) not in (dict, OrderedDict):
            raise ValueError("its pickle sets items of something that is no dict")
        keys, values = items[::2], items[1::2]
        if len(keys) != len(values):
            raise ValueError("its pickle has a dict with a key that has no value")
        if not all(type(key) in (str, int, float, bool, type(None)) for key in keys):
            raise ValueError("its pickle has a dict with a key that is neither a string nor a number")
        self.stack[-1].update(zip(keys, values, strict=True))

    def drop_attributes(self) -> None:
        attributes = self.stack.pop()
        if type(self.stack[-1]) is not OrderedDict or type(attributes) is not dict:
            raise ValueError("its pickle sets attributes of an object; nothing of it was executed")


def _named(module: Any, name: Any) -> Name | str:
    if type(module) is not str or type(name) is not str:
        raise ValueError("its pickle names a global by something that is no string")
    text = f"{module}.{name}"
    if text in STORAGES or text in _BUILDERS:
        return Name(text)
    if text.removeprefix("torch.") in STORED:
        return text
    raise ValueError(
        f"it holds a {text[:100]!r}, and only tensors of real numbers, dicts, lists, numbers and strings are "
        "loaded; nothing of it was executed. Where it was written, save the weights alone: "
        "torch.save(model.state_dict(), path)"
    )


def _built(function: Any, arguments: Any) -> Any:
    if type(function) is not Name or function.text not in _BUILDERS or type(arguments) is not tuple:
        raise ValueError("its pickle calls something that is no function; nothing of it was executed")
    return _BUILDERS[function.text](*arguments)


def _storage(kind: Any, storage_type: Any, key: Any, location: Any, count: Any) -> Storage:
    if kind != "storage" or type(storage_type) is not Name or type(key) is not str or type(count) is not int:
        raise ValueError("its pickle refers to something that is no tensor storage")
    return Storage(key, STORAGES[storage_type.text], count)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, metadata: Any = None) -> Tensor:
    return _typed_tensor(storage, offset, size, stride, grad, hooks, None, metadata)


def _typed_tensor(
    storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, metadata: Any = None
) -> Tensor:
    if metadata:
        raise ValueError("it holds a lazily negated or conjugated tensor; save tensor.resolve_neg() instead")
    if type(storage) is not Storage or type(size) is not tuple or type(stride) is not tuple:
        raise ValueError("its pickle describes a tensor by something else than storage, size and stride")
    if len(size) != len(stride) or len(size) > MAX_AXES:
        raise ValueError(f"a tensor has {len(size)} sizes and {len(stride)} strides; at most {MAX_AXES} are taken")
    if not all(type(number) is int and number >= 0 for number in (offset, *size, *stride)):
        raise ValueError("the offset, sizes and strides of a tensor should be non-negative integers")
    if math.prod(max(length, 1) for length in size) >= 2**59:  # an empty one too, or NumPy overflows
        raise ValueError("a tensor claims a size that no array can have")
    dtype = storage.dtype or dtype
    if type(dtype) is not str or dtype.removeprefix("torch.") not in STORED:
        raise ValueError("a tensor has a storage without a dtype")
    return Tensor(storage, dtype.removeprefix("torch."), offset, size, stride)


def _device(kind: Any, index: Any = None) -> str:
    if type(kind) is not str or len(kind) > 100 or type(index) not in (int, type(None)):
        raise ValueError("its pickle describes a device by something else than a name and a number")
    return kind if index is None else f"{kind}:{index}"


# None of these copies what it is given: a short pickle can ask for it a million times.
_BUILDERS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": lambda: OrderedDict(),
    "collections.Counter": lambda counts: counts,
    "torch.Size": lambda sizes: sizes,
    "torch.device": _device,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
    "torch._utils._rebuild_parameter": lambda tensor, grad, hooks: tensor,
    "torch._utils._rebuild_parameter_with_state": lambda tensor, grad, hooks, state: tensor,
}
