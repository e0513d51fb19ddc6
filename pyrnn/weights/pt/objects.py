"""Represents what a pickle describes: objects by the names of their classes, tensors and arrays.

It calls none of them.

A name in a file is looked up only in the tables here. Of an object that the tables do not know, only the name, the
items set and the elements appended are kept: a dict of an unknown class may hold the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..arrays import MAX_AXES, STORED

# This maps torch's storage classes, which exist for its first ten dtypes, to them. Younger dtypes have untyped
# storages, and the dtype is an argument of the tensor.
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
DICTS = ("dict", "collections.OrderedDict", "collections.defaultdict")
SETS = {"builtins.set": set, "builtins.frozenset": frozenset}
TENSORS = ("torch.Tensor", "torch._tensor.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer")
# These functions make an object of the class that is their first argument.
MAKERS = ("copyreg._reconstructor", "copyreg.__newobj__", "copyreg.__newobj_ex__")
RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg", "numpy.core": "numpy._core"}


class Name:
    """Holds the name of a global of the pickle, which is compared and never imported."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Made:
    """Represents an object by the name of its class; `items` has keys and values in turn, or is None."""

    __slots__ = ("elements", "items", "metadata", "name")

    def __init__(self, name: str, elements: list[Any] | None = None) -> None:
        self.name, self.elements = name, elements
        self.items: list[Any] | None = None
        self.metadata: Any = None  # This is the attribute `_metadata` of a torch state dict.


class Storage:
    """Refers to a record of the archive: it has `count` elements of a dtype, or bytes if the dtype is None."""

    __slots__ = ("count", "dtype", "key", "name")

    def __init__(self, name: str, key: str, count: int) -> None:
        self.name, self.key, self.count = name, key, count
        self.dtype = STORAGES.get(name)


class Tensor:
    """Describes a strided view of a record as the file claims it; offset, size and stride count elements."""

    def __init__(
        self, storage: Storage, dtype: str, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
    ) -> None:
        self.storage, self.dtype, self.offset, self.size, self.stride = storage, dtype, offset, size, stride


class Bytes:
    """Holds bytes that the pickle writes as text; `kind` is bytes or bytearray."""

    __slots__ = ("kind", "text")

    def __init__(self, kind: type, text: Any) -> None:
        self.kind, self.text = kind, text


class NumPyType:
    """Describes a numpy.dtype by its code, such as "f8", and its byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any, *more: Any) -> None:
        self.code, self.order = code, "<"

    def build(self, state: Any) -> None:
        """Takes the state (version, byte order, parts of a structured type ...) that the pickle sets."""
        if type(state) is tuple and len(state) > 3 and state[1] in ("<", ">", "|", "=") and state[3] is None:
            self.order = state[1]
        else:
            self.code = None  # A structured dtype has no code.


class NumPyArray:
    """Describes an array of NumPy, or a number if `is_number`, as the file claims it."""

    __slots__ = ("data", "dtype", "fortran", "is_number", "shape")

    def __init__(self, dtype: Any = None, shape: Any = (), data: Any = b"", is_number: bool = False) -> None:
        self.dtype, self.shape, self.data, self.fortran, self.is_number = dtype, shape, data, False, is_number

    def build(self, state: Any) -> None:
        """Takes the state (version, shape, dtype, is_fortran, bytes) that the pickle sets; old files lack version."""
        if type(state) is not tuple or len(state) < 4:
            raise ValueError("a NumPy array in its pickle has no shape and dtype")
        self.shape, self.dtype, self.fortran, self.data = state[-4:]


def named(module: Any, name: Any) -> Name | str:
    """Returns the global of that name; a dtype of torch is returned as a string."""
    if type(module) is not str or type(name) is not str:
        raise ValueError("its pickle names a global by something that is no string")
    for old, new in RENAMED.items():
        if module == old or module.startswith(f"{old}."):
            module = new + module.removeprefix(old)
    text = f"{module}.{name}"
    return text if module == "torch" and name in STORED else Name(text)


def called(function: Any, arguments: Any) -> Any:
    """Returns what a call would give if the tables know the function, else an object that has its name."""
    if type(function) is Made:
        return Made(function.name)
    if type(function) is not Name or type(arguments) is not tuple:
        raise ValueError("its pickle calls something that is no function; nothing of it was executed")
    if function.text in MAKERS and arguments and type(arguments[0]) is Name:
        return Made(arguments[0].text)
    builder = _BUILDERS.get(function.text)
    return Made(function.text) if builder is None else builder(*arguments)


def storage(kind: Any, storage_type: Any, key: Any, location: Any, count: Any) -> Storage:
    """Returns the record of the archive that a persistent id of torch names."""
    if kind != "storage" or type(storage_type) is not Name or type(key) is not str or type(count) is not int:
        raise ValueError("its pickle refers to something that is no tensor storage")
    return Storage(storage_type.text, key, count)


def _tensor(of: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, metadata: Any = None) -> Any:
    return _typed_tensor(of, offset, size, stride, grad, hooks, None, metadata)


def _typed_tensor(
    of: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, metadata: Any = None
) -> Any:
    if type(metadata) is Made and metadata.items:
        return Made("torch.Tensor (lazily negated or conjugated: save tensor.resolve_neg().resolve_conj())")
    if type(of) is not Storage or type(size) is not tuple or type(stride) is not tuple:
        raise ValueError("its pickle describes a tensor by something else than storage, size and stride")
    if len(size) != len(stride) or len(size) > MAX_AXES:
        raise ValueError(f"a tensor has {len(size)} sizes and {len(stride)} strides; at most {MAX_AXES} are taken")
    if not all(type(number) is int and number >= 0 for number in (offset, *size, *stride)):
        raise ValueError("the offset, sizes and strides of a tensor should be non-negative integers")
    # The limit holds for empty tensors too, since NumPy would overflow.
    if math.prod(max(length, 1) for length in size) >= 2**59:
        raise ValueError("a tensor claims a size that no array can have")
    if of.name not in STORAGES or type(dtype) is Name:
        return Made(f"torch.Tensor of {dtype.text if type(dtype) is Name else of.name}")
    dtype = of.dtype or dtype
    if type(dtype) is not str or dtype.removeprefix("torch.") not in STORED:
        raise ValueError("a tensor has a storage without a dtype")
    return Tensor(of, dtype.removeprefix("torch."), offset, size, stride)


def _of_type(function: Any, kind: Any, arguments: Any, state: Any) -> Any:
    """Returns the tensor without the attributes set on it; one of an unknown subclass stays a name."""
    known = type(function) is Name and function.text.startswith("torch._utils._rebuild_") and type(kind) is Name
    if known and kind.text in TENSORS:
        return called(function, arguments)
    return Made(kind.text if type(kind) is Name else "torch.Tensor of a subclass")


def _device(kind: Any, index: Any = None) -> Any:
    if type(kind) is not str or len(kind) > 100 or type(index) not in (int, type(None)):
        return Made("torch.device")
    return kind if index is None else f"{kind}:{index}"


def _encoded(text: Any = "", encoding: Any = "latin1") -> Any:
    known = type(text) in (str, bytes) and encoding in ("latin1", "latin-1")
    return Bytes(bytes, text) if known else Made("_codecs.encode")


def _byte_array(text: Any = b"", encoding: Any = "latin-1") -> Any:
    known = type(text) in (str, bytes, Bytes) and encoding in ("latin1", "latin-1")
    return Bytes(bytearray, text.text if type(text) is Bytes else text) if known else Made("builtins.bytearray")


def _complex(real: Any, imaginary: Any) -> Any:
    known = type(real) is float and type(imaginary) is float
    return complex(real, imaginary) if known else Made("builtins.complex")


def _reconstructed(kind: Any, shape: Any, code: Any) -> Any:
    if type(kind) is Name and kind.text != "numpy.ndarray":
        return Made(kind.text)
    return NumPyArray()


def _from_buffer(buffer: Any, dtype: Any, shape: Any, order: Any, *more: Any) -> NumPyArray:
    array = NumPyArray(dtype, shape, buffer)
    array.fortran = order == "F"
    return array


def _set_of(name: str) -> Callable[..., Made]:
    return lambda elements=(): Made(name, elements if type(elements) is list else list(elements[:0]))


# None of these functions copies its arguments: a short pickle can call it a million times.
_BUILDERS: dict[str, Callable[..., Any]] = {
    "_codecs.encode": _encoded,
    "builtins.bytearray": _byte_array,
    "builtins.bytes": _encoded,
    "builtins.complex": _complex,
    "builtins.dict": lambda: Made("dict"),
    "builtins.frozenset": _set_of("builtins.frozenset"),
    "builtins.set": _set_of("builtins.set"),
    "collections.Counter": lambda *counts: counts[0] if counts else Made("dict"),
    "collections.OrderedDict": lambda *pairs: Made("pairs" if pairs else "collections.OrderedDict"),
    "numpy._core.multiarray._reconstruct": _reconstructed,
    "numpy._core.multiarray.scalar": lambda dtype, data=None: NumPyArray(dtype, (), data, True),
    "numpy._core.numeric._frombuffer": _from_buffer,
    "numpy.dtype": NumPyType,
    "torch.Size": lambda sizes: sizes,
    "torch.device": _device,
    "torch._tensor._rebuild_from_type_v2": _of_type,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
    "torch._utils._rebuild_parameter": lambda tensor, grad, hooks: tensor,
    "torch._utils._rebuild_parameter_with_state": lambda tensor, grad, hooks, state: tensor,
}
