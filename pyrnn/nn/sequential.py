"""Sequential runs layers one after the other, and passes a mask along with the values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self, overload

import numpy as np

from pyrnn.checks.arguments import check_arrays, check_size
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief
from pyrnn.core import architecture, cells, file  # noqa: F401  (a file may name cells)
from pyrnn.core.making import known
from pyrnn.core.module import Module
from pyrnn.core.pullback import Gradients
from pyrnn.weights.source import File, named

from .layer import Naming, Recorded, Way, mask_after, options_beside, plain_array, pullback_of
from .layout import check_cuts, check_layout
from .quantized import QuantizedNetwork, quantized_layers
from .summary import Shapes, table
from .taking import KERAS, as_input, axes_of

Axis = int | tuple[int, int]


class Sequential(Module):
    """Runs layers one after the other: torch.nn.Sequential on NumPy arrays, with masks.

    The next layer gets the output of a recurrent layer, not its state. A caller gives a mask, bool [B,T] (or [T,B], as
    the layers' batch_first says), or `Embedding(mask_zero=True)` or `Masking` makes it. Recurrent layers,
    `Bidirectional` and the layers that reduce over time use it. It ends at layers whose output has no time axis;
    others pass it on.

    Args:
        layers: modules; or one dict of them by name, as in `Sequential({"rnn": ..., "out": ...})`. Parameters are
            named "0.weight_ih_l0", or "rnn.weight_ih_l0".

    Raises:
        TypeError: if one is not a module.
        ValueError: if one stands there twice, or a name cannot be an attribute.

    Example:
        >>> import numpy as np, pyrnn, pyrnn.nn as nn
        >>> lstm = pyrnn.LSTM(8, 16, batch_first=True)
        >>> model = nn.Sequential(
        ...     nn.Embedding(100, 8, mask_zero=True), lstm, nn.LastStep(batch_first=True), nn.Linear(16, 2)
        ... )
        >>> model.predict(np.array([[3, 14, 15, 0, 0]])).shape
        (1, 2)
        >>> print(model.summary((None, 5)))
        layer          output shape   parameters
        ----------------------------------------
        0 (Embedding)  (None, 5, 8)          800
        1 (LSTM)       (None, 5, 16)       1,664
        2 (LastStep)   (None, 16)              0
        3 (Linear)     (None, 2)              34
        ----------------------------------------
        total                              2,498

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Sequential.html
    """

    takes_mask = True

    def __init__(self, *layers: Any) -> None:
        super().__init__()
        is_named = len(layers) == 1 and isinstance(layers[0], Mapping)
        named = dict(layers[0]) if is_named else {str(i): layer for i, layer in enumerate(layers)}
        for name, layer in named.items():
            if not isinstance(layer, Module):
                raise TypeError(f"layer {brief(name)} should be a pyrnn Module, got {type(layer).__name__}")
            if not isinstance(name, str) or not name or "." in name or hasattr(self, name):
                raise ValueError(f"a layer cannot be named {brief(name)}; take another name")
            setattr(self, name, layer)
        every = [id(module) for _, module in self.named_modules()]
        if len(set(every)) < len(every):
            raise ValueError("a layer stands twice in this Sequential; each place needs a layer of its own")
        check_layout(self._leaves())

    def __getattr__(self, name: str) -> Any:
        if name in KERAS:
            raise AttributeError(f"a Sequential has no {name!r}: {KERAS[name]}")
        return super().__getattr__(name)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    @overload
    def __getitem__(self, key: int | str) -> Any: ...
    @overload
    def __getitem__(self, key: slice) -> Sequential: ...
    def __getitem__(self, key: Any) -> Any:
        """Returns a layer, by its place or its name."""
        if isinstance(key, str):
            return self._modules[key]
        if isinstance(key, slice):
            part = Sequential(dict(list(self._modules.items())[key]))
            part.training = self.training
            return part
        return list(self._modules.values())[key]

    def __call__(self, input: Array, *, mask: Array | None = None) -> Array:
        """Computes the output of the last layer.

        Args:
            input: an array that the first layer takes.
            mask: bool, True for the steps that count, for the first layer that uses one; None for all.

        Raises:
            TypeError, ValueError, RuntimeError, IndexError: as the layer that refuses its input; a note names it.
        """
        self._check(input, mask)
        return self._through(input, mask, [])[0]

    def vjp(self, input: Array, *, mask: Array | None = None) -> Recorded:
        """The output, None for its state, and a pullback from its gradient to `.input` and `.parameters`.

        `.input` is None if the network begins with an Embedding, because integers have no gradient.
        """
        self._check(input, mask)
        output, _, way = self._recorded(input, mask)
        return output, None, way

    def predict(self, input: Array, batch_size: int = 256, batch_axis: Axis = 0) -> Array:
        """Computes the output in evaluation mode (no dropout), a batch at a time; the training flags stay as they are.

        Args:
            input: all samples, as an array, list, tensor or DataFrame that the first layer takes.
            batch_size: the number of samples in a batch.
            batch_axis: the axis that counts the samples; a pair, for input and output, if they differ.

        Returns:
            The outputs of all samples in one array.

        Raises:
            ValueError: if batch_size is less than 1, or there is no such axis.
        """
        source, target = axes_of(batch_axis)
        check_size("batch_size", batch_size)
        input = as_input(self, input, "input")
        if not -input.ndim <= source < input.ndim:
            raise ValueError(f"input should be an array with an axis {source}, got {np.shape(input)}")
        count = input.shape[source]
        if count > batch_size:
            check_cuts(self, self._leaves(), input, source)
        cuts = range(batch_size, count, batch_size)
        with self._evaluating():
            return np.concatenate([self(part) for part in np.split(input, cuts, source)], axis=target)

    def summary(self, input_shape: Sequence[int | None]) -> str:
        """Returns a table as text: each layer's output shape and number of parameters.

        Args:
            input_shape: the shape of an input, with the batch; None for an axis of no fixed size.
        """

        def run(values: Array) -> Shapes:
            shapes: Shapes = []
            self._through(values, None, shapes)
            return shapes

        with self._evaluating():
            return table(self, run, input_shape)

    def quantize(self, format: str, data: Array | None = None) -> QuantizedSequential:
        """Makes a `QuantizedSequential`, whose recurrent layers have smaller weights. This network stays as it is.

        Args:
            format: "bf16" or "int8".
            data: an input on which the error of the whole network is measured for `.report`. None for no report.

        Raises:
            ValueError: for another format, a recurrent layer of float64, or a network without a recurrent layer.
        """
        return QuantizedSequential(self, format, data)

    def config(self) -> dict[str, Any]:
        """Returns {"layers": a list of {"name", "type", "config"}}."""
        return {"layers": [{"name": name, **architecture.describe(layer)} for name, layer in self._modules.items()]}

    def _architecture(self) -> Any:
        return self.config()["layers"]

    @classmethod
    def load(cls, path: File, *, limit: int | None = None) -> Self:
        """`pyrnn.load` for a file that `save` of a Sequential wrote, of which it makes an instance of this class.

        Raises:
            ValueError: if the file is damaged, holds another model, names a layer or an argument that is not known, or
                sizes that its arrays do not have.
            FileNotFoundError: if there is no such file.
            ImportError: if the package safetensors is not installed.

        Example:
            >>> import tempfile, pyrnn.nn as nn
            >>> model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     model.save(f"{folder}/model.safetensors")
            ...     bool((nn.Sequential.load(f"{folder}/model.safetensors")[0].weight == model[0].weight).all())
            True
        """
        network = file.load(path, limit)
        wanted = cls if issubclass(cls, QuantizedNetwork) else Sequential
        if not isinstance(network, wanted):
            raise ValueError(
                f"{named(path)} holds a {type(network).__name__}, and no {wanted.__name__}; read it with pyrnn.load"
            )
        return network if isinstance(network, cls) else cls(network._modules).eval()

    def _check(self, input: Any, mask: Any) -> None:
        """Checks the mask, which no layer may check, and if there is no layer, the input."""
        check_arrays(mask=mask)
        if mask is not None and (mask.dtype != bool or mask.ndim != 2):
            raise ValueError(f"mask should be an array of bool with two axes, got {mask.dtype} of shape {mask.shape}")
        if not self._modules:
            plain_array(self, input)

    def _leaves(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yields the layers of this network and of those in it, in the order they run, with their dotted names."""
        for name, layer in self._modules.items():
            if isinstance(layer, Sequential):
                yield from layer._leaves(f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}", layer

    def _through(self, input: Array, mask: Array | None, shapes: Shapes) -> tuple[Array, Array | None]:
        """Returns the output and its mask, and appends each layer's output shape to `shapes`."""
        for name, layer in self._modules.items():
            with Naming(name, layer):
                after = mask_after(layer, input, mask)
                if isinstance(layer, Sequential):
                    input, after = layer._through(input, mask, [])
                else:
                    result = layer(input, **options_beside(layer, mask))
                    input = result[0] if isinstance(result, tuple) else result  # output and state
            mask = after
            shapes.append(input.shape)
        return input, mask

    def _recorded(self, input: Array, mask: Array | None) -> tuple[Array, Array | None, Way]:
        """Returns the output, its mask, and a pullback."""
        ways: list[tuple[str, Way]] = []
        for name, layer in self._modules.items():
            with Naming(name, layer):
                after = mask_after(layer, input, mask)
                if isinstance(layer, Sequential):
                    input, after, way = layer._recorded(input, mask)
                else:
                    input, _, way = layer.vjp(input, **options_beside(layer, mask))
            mask = after
            ways.append((name, way))

        def back(grad: Array) -> Gradients:
            found: dict[str, dict[str, Array]] = {}
            for name, way in reversed(ways):
                gradients = way(grad)
                found[name], grad = gradients.parameters, gradients.input
                if grad is None:  # the layer took integers, and layers before it have no parameters
                    break
            parameters = {f"{name}.{key}": value for name, _ in ways for key, value in found.get(name, {}).items()}
            return Gradients(grad, None, parameters)

        return input, mask, pullback_of(input, back)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        modes = [(module, module.training) for _, module in self.named_modules()]
        self.eval()
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode


@known
class QuantizedSequential(QuantizedNetwork, Sequential):
    """A `Sequential` whose recurrent layers have smaller weights; `QuantizedNetwork` has the details."""

    def __init__(self, network: Sequential, format: str, data: Array | None = None) -> None:
        if not isinstance(network, Sequential):
            raise TypeError(f"network should be a Sequential, got {type(network).__name__}")
        Sequential.__init__(self, quantized_layers(network, format))
        self._become(format, data)

    def config(self) -> dict[str, Any]:
        """The float32 network as {"type", "config"}, and the format; a file holds the float32 parameters."""
        return {
            "network": {"type": "Sequential", "config": Sequential.config(self._unquantized())},
            "format": self.format,
        }

    def _architecture(self) -> Any:
        return architecture.describe(self)
