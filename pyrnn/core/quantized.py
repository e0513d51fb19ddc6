"""Quantized is a recurrent layer with smaller weights, for inference.

    bf16   The matrices W_ih and W_hh are rounded to bfloat16 (to nearest, ties to even) and take half the memory.
           Everything else is float32, so the bits are those of a float32 layer with the rounded matrices.
    int8   Each row w of W_ih and W_hh becomes a scale s and integers q, a quarter of the memory: w = s q,
           s = max |w| / 127, |q| <= 127. Inputs and states are quantized likewise, anew at each step and for each
           row of the batch. The sums are of integers, so they are the same on every machine. Biases and the cell's
           equations stay float32.

At batch 1 a step takes as long as reading its weights, so smaller weights make it faster.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import numpy as np

from pyrnn import _core
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief

from .architecture import describe
from .making import known
from .module import Module
from .recurrent import Recurrent

FORMATS = ("bf16", "int8")


class QuantizationError(NamedTuple):
    """The difference between the outputs of a quantized network and those of the float32 one.

    Attributes:
        maximum: the largest absolute difference of an output.
        snr_db: signal-to-noise ratio in decibels, 10 log10(sum y^2 / sum (y - y_q)^2); inf for no difference.

    Example:
        >>> import numpy as np, pyrnn
        >>> print(pyrnn.QuantizationError.between(np.array([1.0, -2.0]), np.array([1.0, -1.99])))
        The outputs differ from those of float32 by at most 0.01; the signal-to-noise ratio is 47.0 dB.
    """

    maximum: float
    snr_db: float

    @classmethod
    def between(cls, exact: Array, approximate: Array) -> QuantizationError:
        """Computes the error of `approximate` against `exact`, two arrays of outputs of one shape."""
        noise = approximate.astype(np.float64) - exact
        power, signal = float(np.sum(noise * noise)), float(np.sum(np.square(exact, dtype=np.float64)))
        if power == 0 or signal == 0:
            return cls(float(np.max(np.abs(noise), initial=0)), math.inf if power == 0 else -math.inf)
        return cls(float(np.max(np.abs(noise))), 10 * math.log10(signal / power))

    def __str__(self) -> str:
        return (
            f"The outputs differ from those of float32 by at most {self.maximum:.2g}; "
            f"the signal-to-noise ratio is {self.snr_db:.1f} dB."
        )


@known
class Quantized(Recurrent):
    """A recurrent layer with smaller weights, made by `layer.quantize(format)`.

    "bf16" rounds W_ih and W_hh to bfloat16; "int8" stores each of their rows as integers and a scale. Biases and the
    cell's equations stay float32 in both.

    A caller runs it and streams from it as from the layer. It has no dropout, no `vjp` and no `trace`. It shares the
    parameters that the layer has when `quantize` is called, and its state dict is theirs, in float32; after
    `load_state_dict` the next call quantizes the new weights. Copies and pickles hold the float32 parameters too, and
    compute the same bits.

    Attributes:
        format: "bf16" or "int8".
        report: the `QuantizationError` on the data that `quantize` was given, or None.

    Example:
        >>> import numpy as np, pyrnn
        >>> lstm = pyrnn.LSTM(16, 64, seed=0)
        >>> x = np.random.default_rng(0).standard_normal((50, 1, 16), np.float32)
        >>> small = lstm.quantize("int8", x)
        >>> small
        Quantized(LSTM(16, 64), format='int8')
        >>> y, (h, c) = small(x)
        >>> stream = small.stream()
        >>> bool((stream.step(x[0]) == y[0]).all()), small.report.snr_db > 30
        (True, True)
    """

    format: str
    report: QuantizationError | None

    def __init__(self, layer: Recurrent, format: str, data: Array | None = None) -> None:
        check_format(format)
        if not isinstance(layer, Recurrent):
            raise TypeError(f"layer should be an RNN, LSTM or GRU, got {type(layer).__name__}")
        if isinstance(layer, Quantized):
            layer.quantize()  # raises: the layer is quantized already
        wrong = {value.dtype.name for value in layer.parameters().values()} - {"float32"}
        if wrong:
            raise ValueError(f"a layer to quantize should be of float32, got {wrong.pop()}; make one with "
                             "dtype=np.float32 and load the state dict into it")  # fmt: skip
        self.__dict__.update(_shared(layer), format=format, report=None, _of=type(layer))
        self._weights()
        if data is not None:
            self.__dict__["report"] = self.error(data)

    @property
    def nbytes(self) -> int:
        """The size in bytes of the packed weights: the matrices in the format, their scales and the biases."""
        return self._weights().nbytes

    def error(self, input: Array, hx: Any = None, **options: Any) -> QuantizationError:
        """Measures how far the outputs are from those of the float32 layer.

        Args:
            input: as in a call.
            hx: as in a call.
            **options: the other arguments of a call.

        Returns:
            The `QuantizationError` of the outputs.
        """
        exact = self.unquantized()(input, hx, **options)[0]
        return QuantizationError.between(exact, self(input, hx, **options)[0])

    def unquantized(self) -> Recurrent:
        """Returns the float32 layer in evaluation mode; the two share the parameters that this one has now."""
        layer: Recurrent = object.__new__(self._of)
        extra = ("format", "report", "_of")
        layer.__dict__.update({name: value for name, value in _shared(self).items() if name not in extra})
        return layer

    def quantize(self, *args: Any, **options: Any) -> NoReturn:
        """Raises ValueError, because the layer is quantized already."""
        raise ValueError(f"the layer is quantized already, to {self.format}; quantize the float32 layer it is of")

    def vjp(self, *args: Any, **options: Any) -> NoReturn:
        """Raises AttributeError, because quantized layers are for inference."""
        raise AttributeError(
            "a quantized layer has no vjp, it is for inference; train the float32 layer and quantize it"
        )

    def trace(self, *args: Any, **options: Any) -> NoReturn:
        """Raises AttributeError, because quantized layers are for inference."""
        raise AttributeError("a quantized layer has no trace, it keeps no gates; trace the float32 layer")

    def config(self) -> dict[str, Any]:
        """Raises TypeError, because files hold the float32 layer."""
        return {"layer": describe(self.unquantized()), "format": self.format}

    def _options(self) -> dict[str, Any]:
        return self.unquantized()._options()

    def extra_repr(self) -> str:
        return f"{self._of.__name__}({super().extra_repr()}), format={self.format!r}"

    def _pack(self, parameters: dict[str, Array]) -> _core.Weights:
        return _core.Weights.pack(self._spec(), list(parameters.values()), format=self.format)

    def _run(
        self, input: Array, hx: Any, record: bool, asked: dict[str, Any], dropout: bool = False
    ) -> tuple[Any, ...]:
        return super()._run(input, hx, record, asked, dropout=False)


def check_format(format: Any) -> None:
    """Raises ValueError for what is not the name of a format."""
    if format not in FORMATS:
        raise ValueError(f'format should be "bf16" or "int8", got {brief(format)}')


def converted(module: Module, change: Callable[[Any], Recurrent]) -> Module:
    """Returns a copy of the network in evaluation mode, with change(layer) in place of each recurrent layer.

    The copy shares the arrays of all other layers.
    """
    if isinstance(module, Recurrent):
        return change(module)
    copy = object.__new__(type(module))
    copy.__dict__.update(_shared(module), _modules={})
    for name, part in module._modules.items():
        try:
            setattr(copy, name, converted(part, change))
        except ValueError as error:
            error.add_note(f"in layer {brief(name)}, {type(part).__name__}")
            raise
    return copy


def _shared(module: Module) -> dict[str, Any]:
    """Returns the attributes of a copy in evaluation mode that shares the arrays.

    Since parameters are replaced as a whole, a later change of one module does not show in the other.
    """
    return {name: value for name, value in module.__dict__.items() if name != "_packed"} | {"training": False}
