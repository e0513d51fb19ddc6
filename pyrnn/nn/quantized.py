"""QuantizedSequential: a network whose recurrent layers have smaller weights, for inference."""

from __future__ import annotations

import os
from typing import Any, NoReturn

from pyrnn.checks.arrays import Array
from pyrnn.core.quantized import QuantizationError, Quantized, check_format, converted

from .sequential import Sequential


class QuantizedSequential(Sequential):
    """A `Sequential` for inference, made by `network.quantize(format)`: each RNN, LSTM and GRU is a `Quantized`.

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

    def __init__(self, network: Sequential, format: str, data: Array | None = None) -> None:
        check_format(format)
        super().__init__(dict(converted(network, lambda layer: Quantized(layer, format))._modules))
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
        exact = converted(self, lambda layer: layer.unquantized())
        assert isinstance(exact, Sequential)
        return QuantizationError.between(exact(input, mask=mask), self(input, mask=mask))

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
