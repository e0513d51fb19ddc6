"""The trace of a call on tensors is that of the NumPy layer with the same weights."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pyrnn.core import layers
from pyrnn.core.trace import Trace

from .coverage import INVALID, not_plain


def numpy_layer(module: Any) -> Any:
    """Makes the layer of `pyrnn` that computes the same as a drop-in, with a copy of its weights."""
    sizes = module.input_size, module.hidden_size, module.num_layers
    options = {name: getattr(module, name) for name in ("bias", "batch_first", "dropout", "bidirectional")}
    dtype = str(module.weight_ih_l0.dtype).removeprefix("torch.")
    options |= {"dtype": dtype, "activation": module.activation}
    if module.mode == "LSTM":
        options |= {"proj_size": module.proj_size, "peephole": module.peephole}
    if module.mode.startswith("RNN"):
        options["nonlinearity"] = module.mode.removeprefix("RNN_").lower()
    else:
        options["recurrent_activation"] = module.recurrent_activation
    layer = getattr(layers, module.mode.partition("_")[0])(*sizes, **options)
    # module.state_dict() would not do: it has parametrized weights under other names.
    layer.load_state_dict({name: array_of(getattr(module, name)) for name in module._flat_weights_names})
    return layer


def trace(module: Any, input: Tensor, hx: Any, options: dict[str, Any]) -> Trace:
    """Returns the trace of a call with tensors, as `pyrnn.LSTM.trace`."""
    if reason := not_plain(input, "input", module.weights()[0].dtype):
        raise ValueError(f"trace: {reason.removesuffix(f': {INVALID}')}")
    given = {name: array_of(value) for name, value in options.items()}
    found: Trace = numpy_layer(module).trace(array_of(input), array_of(hx), **given)
    return found


def array_of(value: Any) -> Any:
    """Returns tensors and tuples of them as arrays, and anything else as it is."""
    if isinstance(value, (tuple, list)):
        return tuple(map(array_of, value))
    return value.detach().numpy() if isinstance(value, Tensor) else value
