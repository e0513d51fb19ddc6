"""Packed weights: what the kernels read in place of the parameters."""

from __future__ import annotations

from typing import Generic, TypeVar

from pyrnn import _core
from pyrnn.checks.arrays import Array

from .module import Module

Packed = TypeVar("Packed")


class Packing(Module, Generic[Packed]):
    """A module whose parameters the kernels read in packed form: a private cache, made at the next call."""

    def _pack(self, parameters: dict[str, Array]) -> Packed:
        raise NotImplementedError

    def _weights(self) -> Packed:
        """What `_pack` makes of the parameters, kept until they are replaced."""
        parameters = self._parameters
        packed = self.__dict__.get("_packed")
        if packed is None or packed[0] is not parameters:
            packed = (parameters, self._pack(parameters))
            self.__dict__["_packed"] = packed
        weights: Packed = packed[1]
        return weights


class Specified(Packing[_core.Weights]):
    """A module that is one network of the kernels."""

    def _spec(self) -> _core.Spec:
        raise NotImplementedError

    def _pack(self, parameters: dict[str, Array]) -> _core.Weights:
        return _core.Weights.pack(self._spec(), list(parameters.values()))
