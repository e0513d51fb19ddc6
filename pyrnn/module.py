"""What every part of a network has: named parameters and buffers, a state dict, a training flag.

Parameters are handed out as read-only arrays. The kernels keep weights in a packed form of their own, and a
write into an array behind their back would go unseen; so a parameter is replaced whole, by assignment
(`layer.weight_hh_l0 = array`) or by `load_state_dict`, and the packed form is made anew at the next call.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import signature
from typing import Any, Self

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_LEFT: ContextVar[list[int] | None] = ContextVar("bytes left for parameters", default=None)


class Module:
    """Base class of the layers: parameters by torch's names, submodules by attribute.

    A subclass registers its parameters with `_add_parameter`, and with `_add_buffer` what the state dict holds but
    no optimizer changes (running statistics); a module assigned to an attribute becomes a submodule whose
    parameters carry the attribute's name and a dot in front, as in torch.nn.Module.
    """

    training: bool

    def __init__(self) -> None:
        self.__dict__.update(_parameters={}, _buffers={}, _modules={}, training=True)

    # -- attributes ---------------------------------------------------------------------------------------
    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._parameters or name in self._buffers:
            self._replace({name: _checked(self, name, value)})
            return
        if isinstance(value, Module):
            self._modules[name] = value
        else:
            self._modules.pop(name, None)
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        # Only reached when ordinary look-up fails; __dict__ is empty while unpickling.
        for kind in ("_parameters", "_buffers"):
            values = self.__dict__.get(kind, {})
            if name in values:
                return values[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._parameters, *self._buffers]

    def _add_parameter(self, name: str, value: Array) -> None:
        _spend(value)
        self._parameters[name] = _read_only(value)

    def _add_buffer(self, name: str, value: Array) -> None:
        _spend(value)
        self._buffers[name] = _read_only(value)

    def _replace(self, values: Mapping[str, Array]) -> None:
        """Puts checked arrays in place of this module's own parameters and buffers.

        The dict is made anew, so that whoever packed the weights can tell by its identity that they changed.
        """
        changed = {name: _read_only(value) for name, value in values.items()}
        for kind in ("_parameters", "_buffers"):
            mine: dict[str, Array] = self.__dict__[kind]
            mine = {name: changed.get(name, value) for name, value in mine.items()}
            if any(name in changed for name in mine):
                self.__dict__[kind] = mine

    def _held(self) -> dict[str, Array]:
        """Parameters and buffers of this module alone, in the state dict's order."""
        return {**self._parameters, **self._buffers}

    # -- public -------------------------------------------------------------------------------------------
    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their dotted names ("" for this one)."""
        yield prefix, self
        for name, module in self._modules.items():
            yield from module.named_modules(f"{prefix}.{name}" if prefix else name)

    def parameters(self) -> dict[str, Array]:
        """All parameters by state-dict name, in torch's order, as read-only arrays (no copies)."""
        return self._named("_parameters")

    def buffers(self) -> dict[str, Array]:
        """All buffers by state-dict name, as read-only arrays (no copies)."""
        return self._named("_buffers")

    def state_dict(self) -> dict[str, Array]:
        """Parameters and buffers by name, as writable copies: what torch's `load_state_dict` takes."""
        return {name: value.copy() for name, value in self._named("_parameters", "_buffers").items()}

    def _named(self, *kinds: str) -> dict[str, Array]:
        return {
            f"{prefix}.{name}" if prefix else name: value
            for prefix, module in self.named_modules()
            for kind in kinds
            for name, value in module.__dict__[kind].items()
        }

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> None:
        """Takes parameters and buffers from a mapping of names to array-likes (NumPy, torch tensors, lists).

        Values are cast to the module's dtype, as torch does. Either all are taken or, on an error, none.

        Args:
            state_dict: names as in `state_dict()`.
            strict: whether missing and unexpected names are errors.

        Raises:
            RuntimeError: naming every missing, unexpected and mis-shaped key.
            TypeError: if `state_dict` is no mapping or a value is not numeric.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        own = self._named("_parameters", "_buffers")
        taken = {name: to_array(value, name) for name, value in state_dict.items() if name in own}
        problems = []
        if strict:
            problems += _listed("Missing key(s) in state_dict", [n for n in own if n not in state_dict])
            problems += _listed("Unexpected key(s) in state_dict", [n for n in state_dict if n not in own])
        problems += [
            f"size mismatch for {name}: got shape {value.shape}, the module has {own[name].shape}."
            for name, value in taken.items()
            if value.shape != own[name].shape
        ]
        if problems:
            heading = f"Error(s) in loading state_dict for {type(self).__name__}:"
            raise RuntimeError("\n\t".join([heading, *problems]))
        for prefix, module in self.named_modules():
            start = f"{prefix}." if prefix else ""
            held = module._held()
            mine = {n: taken[start + n].astype(held[n].dtype, copy=False) for n in held if start + n in taken}
            if mine:
                module._replace(mine)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments by name, but for dtype and seed: numbers, strings and lists, as JSON has them.

        A layer keeps each under its own name, or overrides this.
        """
        names = [name for name in signature(type(self)).parameters if name not in ("dtype", "seed")]
        return {name: getattr(self, name) for name in names}

    def train(self, mode: bool = True) -> Self:
        """Sets training mode (dropout on) or, with False, evaluation mode. Modules start in training mode."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        for _, module in self.named_modules():
            object.__setattr__(module, "training", mode)
        return self

    def eval(self) -> Self:
        """Sets evaluation mode: no dropout."""
        return self.train(False)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_packed"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({"_buffers": {}, **state})  # pickles of version 0.1.0 have no buffers
        self._replace(self._held())  # arrays come back from a pickle writable

    def extra_repr(self) -> str:
        """What stands between the parentheses of the repr."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = [f"({name}): {module!r}".replace("\n", "\n  ") for name, module in self._modules.items()]
        if not lines:
            return f"{type(self).__name__}({extra})"
        lines = [extra, *lines] if extra else lines
        return "\n  ".join([f"{type(self).__name__}(", *lines]) + "\n)"


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Inside the block, the modules made hold so many bytes of parameters and buffers together, or ValueError.

    For sizes that come from a file: it has to hold as much itself.
    """
    token = _LEFT.set([size])
    try:
        yield
    finally:
        _LEFT.reset(token)


def check_room(shape: Sequence[int], dtype: np.dtype[Any]) -> None:
    """ValueError if an array of this shape, not made yet, is more than `at_most` allows."""
    left = _LEFT.get()
    if left is not None and math.prod(shape) * dtype.itemsize > left[0]:
        raise ValueError(f"parameters of shape {tuple(shape)} are larger than the file that should hold them")


def _spend(value: Array) -> None:
    check_room(value.shape, value.dtype)
    left = _LEFT.get()
    if left is not None:
        left[0] -= value.nbytes


def to_array(value: Any, name: str) -> Array:
    """A real-valued NumPy array from an array-like; torch tensors are read without importing torch."""
    if hasattr(value, "detach"):  # a tensor: NumPy has no bfloat16, and refuses tensors that want gradients
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            value = value.float()
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} should be an array of real numbers, got dtype {array.dtype}")
    return array


def _checked(module: Module, name: str, value: Any) -> Array:
    current = module._held()[name]
    array = to_array(value, name)
    if array.shape != current.shape:
        raise ValueError(f"{name} should have shape {current.shape}, got {array.shape}")
    return array.astype(current.dtype, copy=False)


def _read_only(value: Array) -> Array:
    """A view that cannot be made writable again, over a private copy."""
    owner = np.array(value, order="C", copy=True)
    owner.flags.writeable = False
    return owner.view()


def _listed(heading: str, names: list[str]) -> list[str]:
    return [f"{heading}: " + ", ".join(f'"{name}"' for name in names) + "."] if names else []
