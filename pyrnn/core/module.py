"""Module gives every layer named parameters and buffers, a state dict and a training flag.

A caller gets parameters as read-only arrays. The kernels keep a packed copy of the weights, which a write into an
array would leave outdated. So callers replace a parameter as a whole, by assignment (`layer.weight_hh_l0 = array`) or
by `load_state_dict`, and the next call packs the weights again.
"""

from __future__ import annotations

import os
import warnings
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping
from operator import setitem
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pyrnn.checks.arguments import arguments_of, check_bools
from pyrnn.checks.arrays import Array, to_array
from pyrnn.checks.quoting import brief
from pyrnn.weights.state_dict import FUNCTIONS, Metadata, as_state_dict, checked

from .making import spend

if TYPE_CHECKING:
    from pyrnn.weights.keys import IncompatibleKeys

HELD = ("_parameters", "_buffers")


class Module:
    """Base class of the layers: parameters by torch's names, submodules by attribute.

    A subclass registers its parameters with `_add_parameter`. With `_add_buffer` it registers arrays that the state
    dict holds but no optimizer changes, such as running statistics. A module that is assigned to an attribute becomes
    a submodule: the names of its parameters start with the attribute's name and a dot, as in torch.nn.Module.

    Example:
        >>> import pyrnn
        >>> sorted(pyrnn.Linear(2, 3).state_dict())
        ['bias', 'weight']
    """

    training: bool
    _version = 1  # the state dict's version, which torch stores in _metadata

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
        # Python calls this when ordinary look-up fails. While unpickling, __dict__ is still empty.
        for kind in HELD:
            values = self.__dict__.get(kind, {})
            if name in values:
                return values[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {brief(name)}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._parameters, *self._buffers]

    def _add_parameter(self, name: str, value: Array) -> None:
        spend(value)
        self._parameters[name] = _read_only(value)

    def _add_buffer(self, name: str, value: Array) -> None:
        spend(value)
        self._buffers[name] = _read_only(value)

    def _replace(self, values: Mapping[str, Array]) -> None:
        """Puts checked arrays in place of this module's own parameters and buffers.

        It makes a new dict, by whose identity `Packing` notices that the weights have changed.
        """
        changed = {name: _read_only(value) for name, value in values.items()}
        _swap(self._replacements(changed, ""))

    def _replacements(self, values: Mapping[str, Array], start: str) -> Iterator[tuple[dict[str, Any], str, Any]]:
        """Yields what `_swap` needs to replace this module's arrays by those of `values` named from `start` on."""
        for kind in HELD:
            mine: dict[str, Array] = self.__dict__[kind]
            if any(start + name in values for name in mine):
                yield self.__dict__, kind, {name: values.get(start + name, value) for name, value in mine.items()}

    def _held(self) -> dict[str, Array]:
        """Returns parameters and buffers of this module alone, in the state dict's order."""
        return {**self._parameters, **self._buffers}

    # -- public -------------------------------------------------------------------------------------------
    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yields this module and all below it, each with its dotted name; the name of this one is `prefix`."""
        yield prefix, self
        for name, module in self._modules.items():
            yield from module.named_modules(f"{prefix}.{name}" if prefix else name)

    def parameters(self) -> dict[str, Array]:
        """Returns all parameters by state-dict name, in torch's order, as read-only arrays (no copies)."""
        return self._named("_parameters")

    def buffers(self) -> dict[str, Array]:
        """Returns all buffers by state-dict name, as read-only arrays (no copies)."""
        return self._named("_buffers")

    def state_dict(self) -> OrderedDict[str, Array]:
        """Returns parameters and buffers by name, as writable copies, as torch's `load_state_dict` takes them.

        Its attribute `_metadata` holds for each module the version, as in torch, and the options that weights do not
        show.
        """
        metadata = {name: {"version": part._version, **part._options()} for name, part in self.named_modules()}
        return as_state_dict({name: value.copy() for name, value in self._named(*HELD).items()}, metadata)

    def _options(self) -> dict[str, Any]:
        """Returns the constructor's arguments that cannot be read off the names and shapes of the weights."""
        return {}

    def _named(self, *kinds: str) -> dict[str, Array]:
        return {
            f"{prefix}.{name}" if prefix else name: value
            for prefix, module in self.named_modules()
            for kind in kinds
            for name, value in module.__dict__[kind].items()
        }

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Takes parameters and buffers from a mapping of names to array-likes (NumPy, torch tensors, lists).

        Values are cast to the module's dtype, as in torch. After an error or Ctrl-C all old values are still there.

        Args:
            state_dict: arrays by the names of `state_dict()`.
            strict: whether missing and unexpected names are errors.

        Returns:
            `missing_keys` and `unexpected_keys`, two lists of names.

        Raises:
            RuntimeError: if keys are missing, unexpected or of the wrong shape; it names them.
            TypeError: if `state_dict` is no mapping or a value is not numeric.
            ValueError: if a cast overflows while NumPy is set to raise on overflow.
        """
        from pyrnn.weights.keys import IncompatibleKeys, mismatches  # here, to keep `import pyrnn` short

        check_bools(strict=strict)
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        own = self._named(*HELD)
        keys = IncompatibleKeys([name for name in own if name not in state_dict],
                                [name for name in state_dict if name not in own])  # fmt: skip
        taken = {name: to_array(state_dict[name], name) for name in own if name in state_dict}
        problems = keys.problems() if strict else []
        problems += mismatches((name, value.shape, own[name].shape) for name, value in taken.items())
        if problems:
            heading = f"Error(s) in loading state_dict for {type(self).__name__}:"
            raise RuntimeError("\n\t".join([heading, *problems, *keys.advice()]))
        cast = {name: _read_only(_cast(value, own[name].dtype, name)) for name, value in taken.items()}
        modules = list(self.named_modules())
        _swap(new for prefix, part in modules for new in part._replacements(cast, f"{prefix}." if prefix else ""))
        if metadata := checked(getattr(state_dict, "_metadata", None)):
            self._compare_options(metadata)
        return keys

    def _compare_options(self, metadata: Metadata) -> None:
        """Warns if the state dict comes from a layer that computes something else with the same weights."""
        for prefix, part in self.named_modules():
            if prefix not in metadata:
                continue
            mine, theirs = part._options(), metadata[prefix]
            for option in FUNCTIONS:
                if None not in (mine.get(option), theirs.get(option)) and mine[option] != theirs[option]:
                    warnings.warn(
                        f"the weights are of a layer with {option}={brief(theirs[option])}, and are loaded into one "
                        f"with {option}={brief(mine[option])}",
                        UserWarning,
                        stacklevel=3,
                    )

    def config(self) -> dict[str, Any]:
        """Returns the constructor's arguments by name, without dtype and seed: numbers, strings and lists, as in JSON.

        It reads each from the attribute of the same name; a layer that keeps them otherwise overrides this.
        """
        found = {name: getattr(self, name) for name in arguments_of(type(self)) if name not in ("dtype", "seed")}
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in found.items()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes architecture, parameters and buffers to a `.safetensors` file, which `pyrnn.load` reads.

        Raises:
            ValueError: if the path has another suffix.
            TypeError: if the class of this module, or of one in it, is not in `pyrnn.nn.LAYERS`.
            ImportError: if the package safetensors is not installed.

        >>> import tempfile, pyrnn
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pyrnn.GRU(3, 5, batch_first=True).save(f"{folder}/gru.safetensors")
        ...     pyrnn.load(f"{folder}/gru.safetensors")
        GRU(3, 5, batch_first=True)
        """
        from .file import save  # at its first use, to keep `import pyrnn` short

        save(path, self._architecture(), self.state_dict())

    def _architecture(self) -> Any:
        """What a file holds beside the arrays: see `architecture`."""
        from .architecture import describe  # at its first use, to keep `import pyrnn` short

        return describe(self)

    def train(self, mode: bool = True) -> Self:
        """Sets training mode (dropout on) or, with False, evaluation mode. Modules start in training mode."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        for _, module in self.named_modules():
            object.__setattr__(module, "training", mode)
        return self

    def eval(self) -> Self:
        """Sets evaluation mode: dropout is off."""
        return self.train(False)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_packed"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._replace(self._held())  # unpickled arrays are writable; this makes them read-only

    def extra_repr(self) -> str:
        """Returns the text between the parentheses of the repr."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = [f"({name}): {module!r}".replace("\n", "\n  ") for name, module in self._modules.items()]
        if not lines:
            return f"{type(self).__name__}({extra})"
        lines = [extra, *lines] if extra else lines
        return "\n  ".join([f"{type(self).__name__}(", *lines]) + "\n)"


class CastError(ValueError, FloatingPointError, RuntimeWarning):
    """A number does not fit a dtype, and NumPy is set to raise there.

    NumPy raises FloatingPointError or RuntimeWarning; this is both, so that code which catches either still works.
    """


def _swap(new: Iterable[tuple[dict[str, Any], str, Any]]) -> None:
    """Sets entries (dict, key, value), all or none.

    Python handles Ctrl-C between two of its instructions, and `deque` sets all entries within one, from C. The old
    values live until all are set, so no destructor runs in between.
    """
    targets, keys, values = zip(*new, strict=True) if (new := list(new)) else ((), (), ())
    old = [target[key] for target, key in zip(targets, keys, strict=True)]
    deque(map(setitem, targets, keys, values), maxlen=0)
    del old


def _cast(value: Array, dtype: np.dtype[Any], name: str) -> Array:
    try:
        return value.astype(dtype, copy=False)
    except (FloatingPointError, RuntimeWarning) as error:
        raise CastError(f"{name} holds numbers of {value.dtype} that {dtype} cannot hold ({error})") from error


def _checked(module: Module, name: str, value: Any) -> Array:
    current = module._held()[name]
    array = to_array(value, name)
    if array.shape != current.shape:
        raise ValueError(f"{name} should have shape {current.shape}, got {array.shape}")
    return _cast(array, current.dtype, name)


def _read_only(value: Array) -> Array:
    """Copies the array and returns a view of the copy that nobody can make writable again."""
    owner = np.array(value, order="C", copy=True)
    owner.flags.writeable = False
    return owner.view()
