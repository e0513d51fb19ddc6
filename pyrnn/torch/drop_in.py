"""DropIn is the base class of all drop-ins."""

from __future__ import annotations

import copy
import copyreg
from typing import Any

from torch import nn
from torch.fx import Proxy
from torch.nn.utils.rnn import PackedSequence

from pyrnn import _core
from pyrnn.checks.arguments import MOST_LAYERS, MOST_UNITS, check_int
from pyrnn.weights.state_dict import OPTIONS

from .autocast import NOT_CAST, in_float32
from .classes import as_replaced, deep_copy, is_parametrized, put_back, replaced_class
from .composed import Network
from .coverage import PLAIN, bad_weights
from .private import autocasts, special_mode

CHOSEN = ("activation", "recurrent_activation", "peephole")  # attributes that only modules with chosen ones have


class DropIn(nn.Module):
    """A module of torch whose calls the kernels run where they can.

    Pickles and copies hold torch's attributes alone. A pickle of a module that `accelerate` has changed holds the
    class that the module had; a copy is a drop-in. A state_dict has one addition: in `_metadata`, the options that
    weights do not show.
    """

    _original: type[nn.Module]  # the class of torch that it stands for
    _own_names: frozenset[str] = frozenset()  # attributes that the class has and _original has not
    is_cell = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "_original" in vars(cls):
            own = (base for base in cls.__mro__ if base not in cls._original.__mro__)
            cls._own_names = frozenset(name for base in own for name in vars(base)) - {*dir(cls._original)}

    def network(self) -> Network:
        """Returns the description of the network that the module computes."""
        raise NotImplementedError

    def spec(self) -> _core.Spec:
        """Returns the network and its sizes, as the kernels take them."""
        raise NotImplementedError

    def weight_names(self) -> list[str]:
        """Returns the names of the weights, in the order of the kernels."""
        raise NotImplementedError

    def weights(self) -> list[Any]:
        """Returns all weights, in the order of the kernels."""
        raise NotImplementedError

    def bad_call(self, input: Any, hx: Any) -> str | None:
        """Says what in the arguments the kernels cannot read, given that they can read the weights."""
        raise NotImplementedError

    def on_kernels(self, packed: Any, weights: list[Any], input: Any, hx: Any, *keywords: Any) -> Any:
        """Returns the result of a call, by the kernels on packed weights; raises if they do not cover it."""
        raise NotImplementedError

    def refusal(self, input: Any, hx: Any = None, **keywords: Any) -> str | None:
        """Says why the kernels cannot run a call; None if they can."""
        reason = special_mode() or bad_weights(weights := self.weights())
        if reason is None and autocasts() and are_plain(input, hx):
            cast = self.in_float32(weights, input, hx, not keywords)
            if cast is None:
                return NOT_CAST
            input, hx = cast.input, cast.hx
        return reason or self.bad_call(input, hx)

    def in_float32(self, weights: list[Any], input: Any, hx: Any, is_plain: bool) -> Any:
        """Returns the call as the kernels run it under autocast, or None if torch should run it.

        Args:
            weights: all weights.
            input: the call's input.
            hx: the call's initial state.
            is_plain: whether the call has no keywords that torch lacks.
        """
        projects = bool(self.__dict__.get("proj_size"))
        is_torchs = is_plain and self.is_standard()
        return in_float32(self.network().mode, projects, self.is_cell, weights[0], input, hx, is_torchs)

    def is_standard(self) -> bool:
        """Whether torch's class could compute the same."""
        return not any(name in self.__dict__ for name in CHOSEN)

    def has_own_forward(self) -> bool:
        """Whether a call is one of the drop-in alone, not of a subclass that does more."""
        return getattr(type(self).forward, "__module__", "").startswith("pyrnn.")

    def symbolic(self, input: Proxy, hx: Any, keywords: dict[str, Any]) -> Proxy:
        """Makes the node of torch.fx for a call: one node for the whole module, as for torch's own modules."""
        tracer: Any = input.tracer
        made: Proxy = tracer.create_proxy(
            "call_module", tracer.path_of_module(self), (input,) if hx is None else (input, hx), keywords
        )
        return made

    def __prepare_scriptable__(self) -> nn.Module:
        """Returns torch's own module with the same parameters, for torch.jit.script to compile instead."""
        if not self.is_standard():
            raise RuntimeError(f"TorchScript has no {type(self).__name__} with chosen activations or peepholes")
        original = copy.copy(self)
        put_back(original, replaced_class(type(self)) or self._original)
        return original

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__.pop("_packed", None)  # it depends on the attributes
        if name in self._own_names and "_accelerated" in self.__dict__:  # the module's own code means something else
            put_back(self, replaced_class(type(self)) or self._original)
            setattr(self, name, value)
        else:
            super().__setattr__(name, value)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self.__dict__.pop("_packed", None)
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    def _save_to_state_dict(self: Any, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        metadata = getattr(destination, "_metadata", None)
        if metadata is not None:  # torch ignores unknown entries in it
            options = {name: getattr(self, name) for name in OPTIONS if hasattr(self, name)}
            metadata.setdefault(prefix.removesuffix("."), {}).update(options)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[no-untyped-call]
        state.pop("_packed", None)
        return state

    def __reduce_ex__(self, protocol: Any) -> Any:
        replaced = replaced_class(type(self))
        is_swapped = "_accelerated" in self.__dict__ or "_replaced" in vars(type(self))
        if replaced is None or not is_swapped or not self.is_standard():
            return super().__reduce_ex__(protocol)
        reduced: Any = as_replaced(self, replaced).__reduce_ex__(protocol)
        make, *rest = reduced
        if make is copyreg.__newobj__:  # type: ignore[attr-defined]
            # pickle takes __newobj__ only with the class of the object itself. This makes the same empty object.
            return copyreg._reconstructor, (replaced, object, None), *rest[1:]  # type: ignore[attr-defined]
        return make, *rest

    def __copy__(self: Any) -> Any:
        copied = object.__new__(type(self))
        copied.__setstate__(self.__getstate__())
        return copied

    def __deepcopy__(self: Any, memo: dict[int, Any]) -> Any:
        if is_parametrized(type(self)):  # its __getstate__ raises
            return deep_copy(self, memo)
        copied = memo[id(self)] = object.__new__(type(self))
        copied.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return copied


def are_plain(input: Any, hx: Any) -> bool:
    """Whether these are ordinary tensors whose memory holds their numbers; the kernels check dtypes and shapes."""
    input = input.data if isinstance(input, PackedSequence) else input
    for tensor in (input, *hx) if type(hx) in (tuple, list) else (input,) if hx is None else (input, hx):
        if type(tensor) not in PLAIN or tensor.is_neg():
            return False
    return True


def check_sizes(input_size: Any = 1, hidden_size: Any = 1, num_layers: Any = 1, *_: Any, **__: Any) -> None:
    """Raises ValueError for sizes that the kernels cannot count, for which torch would allocate until memory ends."""
    for name, value, most in (
        ("input_size", input_size, MOST_UNITS),
        ("hidden_size", hidden_size, MOST_UNITS),
        ("num_layers", num_layers, MOST_LAYERS),
    ):
        if isinstance(value, int):  # torch raises the error for other types
            check_int(name, value, most)
