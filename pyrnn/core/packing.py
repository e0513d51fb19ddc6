"""The kernels read packed weights, a copy of the parameters in another order, which this module makes and keeps."""

from __future__ import annotations

from typing import Generic, TypeVar

from pyrnn import _core
from pyrnn.checks.arrays import Array

from .module import Module

Packed = TypeVar("Packed")


class Packing(Module, Generic[Packed]):
    """A module whose parameters the kernels read in packed form, which the next call makes and later calls reuse."""

    def _pack(self, parameters: dict[str, Array]) -> Packed:
        raise NotImplementedError

    def _weights(self) -> Packed:
        """Returns the packed parameters; packs them again only after they were replaced."""
        parameters = self._parameters
        packed = self.__dict__.get("_packed")
        if packed is None or packed[0] is not parameters:
            packed = (parameters, self._pack(parameters))
            self.__dict__["_packed"] = packed
        weights: Packed = packed[1]
        return weights


class Specified(Packing[_core.Weights]):
    """A module that is one recurrent network of the kernels, which `_spec` describes."""

    def _spec(self) -> _core.Spec:
        raise NotImplementedError

    def _pack(self, parameters: dict[str, Array]) -> _core.Weights:
        return _core.Weights.pack(self._spec(), list(parameters.values()))
