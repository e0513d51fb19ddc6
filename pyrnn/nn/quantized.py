"""What a network has whose recurrent layers have smaller weights, for inference."""

from __future__ import annotations

import os
from typing import Any, NoReturn

from pyrnn.checks.arrays import Array
from pyrnn.core.module import Module
from pyrnn.core.quantized import QuantizationError, Quantized, check_format, converted


class QuantizedNetwork(Module):
    """A network for inference, made by `network.quantize(format)`: each RNN, LSTM and GRU is a `Quantized`.

    A call is in evaluation mode: no dropout. The other layers share the arrays of that moment with the network's;
    nothing that is done here changes those.

    Attributes:
        format: "bf16" or "int8".
        report: the `QuantizationError` on the data that `quantize` was given, or None.

    Example:
        >>> import numpy as np, pyrnn, pyrnn.nn as nn
        >>> model = nn.Sequential(pyrnn.GRU(8, 32, seed=0), nn.LastStep(), nn.Linear(32, 2, seed=0))
        >>> x = np.random.default_rng(0).standard_normal((20, 5, 8), np.float32)
        >>> small = model.quantize("bf16", x)
        >>> small(x).shape, small.report.snr_db > 40
        ((5, 2), True)
    """

    format: str = ""
    report: QuantizationError | None = None

    def _become(self, format: str, data: Array | None) -> None:
        """Sets what the constructor was given, once the layers stand there."""
        if not any(isinstance(module, Quantized) for _, module in self.named_modules()):
            raise ValueError("there is no RNN, LSTM or GRU in this Sequential to quantize")
        self.__dict__.update(format=format, training=False)
        if data is not None:
            self.__dict__["report"] = self.error(data)

    @property
    def nbytes(self) -> int:
        """Bytes of the weights: packed those of recurrent layers, as they are those of the others."""
        total = 0
        for _, module in self.named_modules():
            total += module.nbytes if isinstance(module, Quantized) else sum(v.nbytes for v in module._held().values())
        return total

    def error(self, input: Array, *, mask: Array | None = None) -> QuantizationError:
        """How far the outputs are from the float32 network's; takes what a call takes."""
        small: Any = self
        exact: Any = converted(self, lambda layer: layer.unquantized())
        return QuantizationError.between(exact(input, mask=mask), small(input, mask=mask))

    def vjp(self, *args: Any, **options: Any) -> NoReturn:
        """AttributeError: quantized networks are for inference."""
        raise AttributeError(
            "a quantized network has no vjp, it is for inference; train the float32 one and quantize it"
        )

    def config(self) -> NoReturn:
        """TypeError: a file holds the float32 network."""
        raise TypeError("a quantized network is not saved; save the float32 one, and quantize what is loaded")

    def save(self, path: str | os.PathLike[str]) -> NoReturn:
        """TypeError: a file holds the float32 network."""
        self.config()

    def extra_repr(self) -> str:
        return f"format={self.format!r}"


def quantized_layers(network: Module, format: str) -> dict[str, Module]:
    """The network's layers by name, their weights in the format; ValueError for what is none."""
    check_format(format)
    return dict(converted(network, lambda layer: Quantized(layer, format))._modules)
