"""The weights of a module in packed form, made anew when they change."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray
from torch import Tensor

from .. import _core


class Packed(NamedTuple):
    seen: list[tuple[Any, ...]]  # of each weight: itself, data_ptr, version, strides
    samples: list[NDArray[Any]]
    sampled: list[bytes]
    weights: _core.Weights


def sample(array: NDArray[Any]) -> NDArray[Any]:
    """A view of all of a small array, and of some hundred elements, spread over rows and columns, of a large one."""
    if array.ndim == 1 or not array.flags.c_contiguous:
        return array
    return array.reshape(-1)[:: array.size // 128 | 1]  # odd: no column is passed by where their number is even


def pack(spec: tuple[Any, ...], arrays: list[NDArray[Any]]) -> _core.Weights:
    try:
        return _core.Weights(_core.Spec(*spec), arrays)
    except ValueError as error:  # torch's type for a weight of another shape
        raise RuntimeError(str(error)) from error


def known_weights(module: Any, weights: list[Any]) -> _core.Weights | None:
    """The packed weights of the last call, if nothing tells that they changed.

    An edit through `.data` (target networks, initialisation by hand) leaves the version as it is: a few numbers of
    each weight are therefore compared too. An edit that misses them all needs `flatten_parameters()`.
    """
    packed: Packed | None = module.__dict__.get("_packed")
    if packed is None or len(packed.seen) != len(weights):
        return None
    for weight, (tensor, pointer, version, stride) in zip(weights, packed.seen, strict=True):
        if (
            weight is not tensor
            or weight._version != version
            or weight.data_ptr() != pointer
            or weight.stride() != stride
        ):
            return None
    return packed.weights if [s.tobytes() for s in packed.samples] == packed.sampled else None


def packed_weights(module: Any, spec: tuple[Any, ...], weights: list[Tensor]) -> _core.Weights:
    """Packs the weights and keeps them with the module for the next call."""
    arrays = [weight.detach().numpy() for weight in weights]
    if any(weight.is_inference() for weight in weights):  # without a version, nothing tells a change
        return pack(spec, arrays)
    samples = [sample(array) for array in arrays]
    seen = [(weight, weight.data_ptr(), weight._version, weight.stride()) for weight in weights]
    packed = Packed(seen, samples, [s.tobytes() for s in samples], pack(spec, arrays))
    module.__dict__["_packed"] = packed
    return packed.weights
