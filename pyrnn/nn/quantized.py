"""QuantizedNetwork is a network for inference, whose recurrent layers have smaller weights."""

from __future__ import annotations

from typing import Any, NoReturn

from pyrnn.checks.arrays import Array
from pyrnn.core.module import Module
from pyrnn.core.quantized import QuantizationError, Quantized, check_format, converted


class QuantizedNetwork(Module):
    """A network for inference, made by `network.quantize(format)`: each RNN, LSTM and GRU in it is a `Quantized`.

    It is always in evaluation mode. The other layers share the arrays that the network's layers have when `quantize`
    is called; a change in one of the two networks does not show in the other.

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
        """Sets the attributes; constructors call it once the layers are in place."""
        if not any(isinstance(module, Quantized) for _, module in self.named_modules()):
            raise ValueError("there is no RNN, LSTM or GRU in this Sequential to quantize")
        self.__dict__.update(format=format, training=False)
        if data is not None:
            self.__dict__["report"] = self.error(data)

    @property
    def nbytes(self) -> int:
        """The size in bytes of the weights: the packed ones of recurrent layers, the arrays of all others."""
        total = 0
        for _, module in self.named_modules():
            total += module.nbytes if isinstance(module, Quantized) else sum(v.nbytes for v in module._held().values())
        return total

    def error(self, input: Array, *, mask: Array | None = None) -> QuantizationError:
        """Measures how far the outputs are from those of the float32 network; it takes the arguments of a call."""
        small: Any = self
        exact = self._unquantized()
        return QuantizationError.between(exact(input, mask=mask), small(input, mask=mask))

    def vjp(self, *args: Any, **options: Any) -> NoReturn:
        """Raises AttributeError, because quantized networks are for inference."""
        raise AttributeError(
            "a quantized network has no vjp, it is for inference; train the float32 one and quantize it"
        )

    def _unquantized(self) -> Any:
        return converted(self, lambda layer: layer.unquantized())

    def extra_repr(self) -> str:
        return f"format={self.format!r}"


def quantized_layers(network: Module, format: str) -> dict[str, Module]:
    """Returns the network's layers by name, with weights in the format; raises ValueError for what is no format."""
    check_format(format)
    return dict(converted(network, lambda layer: Quantized(layer, format))._modules)
