"""Before the first step, `fit` warns if it would train something else than the caller means.

The layers of pyrnn tell which axis they take for the time. A network of the caller's own may move the axes: then a
copy of it runs twice, on one sequence and on two, and the shapes show which axis grows.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.checks.caution import caution, was_told
from pyrnn.core.module import Module
from pyrnn.nn.activations import Activation, LogSoftmax, Softmax
from pyrnn.nn.heads import GlobalAveragePool1d
from pyrnn.nn.layout import TIME_AXIS, TIME_FIRST, batch_axis_of, holds_sequences, is_ours, taken_by
from pyrnn.nn.pool import AvgPool1d, AvgPool2d, GlobalAveragePool2d
from pyrnn.nn.sequential import Sequential

from .loss import bce_with_logits, cross_entropy
from .loss_probabilities import bce_loss, nll_loss

AVERAGES = (AvgPool1d, AvgPool2d, GlobalAveragePool1d, GlobalAveragePool2d)
SIGMOIDS = ("sigmoid", "hard_sigmoid_keras2", "hard_sigmoid_keras3")
# Maps losses of logits to those of probabilities. (cross_entropy is right for log-probabilities too.)
BOUNDED = {"cross_entropy": "categorical_crossentropy", "bce_with_logits": "bce_loss"}
KNOWN = (cross_entropy, bce_with_logits, bce_loss, nll_loss)


class LayerCall(NamedTuple):
    """A layer's input and output in one call."""

    name: str
    layer: Module
    input: Array
    output: list[Any]


class Run(NamedTuple):
    """A run of a copy of the network: its output, and the calls of the watched layers in their order."""

    output: Array
    calls: list[LayerCall]


def check_first_batch(
    model: Module, loss: Callable[..., Any], inputs: Array, targets: Array, axis: int, shuffled: bool
) -> None:
    """Warns, once for each model and cause, of axes, activations and targets that do not fit together.

    Args:
        model: the network; it is left as it is.
        loss: the loss that `fit` calls.
        inputs: the inputs of the first batch.
        targets: the targets of the first batch.
        axis: the axis of the inputs that counts the sequences.
        shuffled: whether `fit` puts the sequences in random order.
    """
    of = _inside(loss)
    if (of is bce_with_logits or of is bce_loss) and targets.size and (targets.min() < 0 or targets.max() > 1):
        caution(
            model,
            "targets",
            f"{of.__name__} takes targets between 0 and 1, got {targets.min():.4g} to {targets.max():.4g}; "
            "for class indices use cross_entropy.",
        )
    layers = [layer for _, layer in model.named_modules()]
    ends = of is nll_loss or (of in (cross_entropy, bce_with_logits) and any(map(_squashes, layers)))
    if not ends and (_axes_are_right(model, inputs, axis) or not any(map(_is_watched, layers))):
        return
    runs = _runs_of_a_copy(model, inputs, axis)
    if runs is not None:
        _check_axes(model, *runs, axis, shuffled)
        _check_activation(model, of, runs[1])


def _axes_are_right(model: Any, inputs: Array, axis: int) -> bool:
    """Whether the layers tell, without a run, that they count the sequences along the same axis as `fit`."""
    told = holds_sequences(inputs) and isinstance(model, Sequential) and is_ours(model)
    return told and batch_axis_of(model._leaves()) == axis % inputs.ndim


def _check_axes(model: Module, one: Run, two: Run, axis: int, shuffled: bool) -> None:
    """Warns of a layer whose sequences become longer with a second sequence: it takes the batch for the time."""
    single = {call.name: call for call in reversed(one.calls)}
    layers = dict(model.named_modules())
    for name, layer, input, _ in two.calls:
        shape = input.shape
        layout, before = taken_by(layer), single.get(name)
        if layout not in TIME_AXIS or before is None or was_told(layers[name], "axes"):
            continue
        words = f"{type(layer).__name__} ({name})" if name else type(layer).__name__
        time = TIME_AXIS[layout] if len(shape) > 2 else 0
        if before.input.ndim != len(shape) or before.input.shape[time] == shape[time]:
            continue
        if len(shape) > 2:
            caution(
                model,
                "batch_axis",
                f"fit counts the sequences along axis {axis} of the inputs, and {words} takes them for the steps of "
                f"one: it takes {layout}. Make it with batch_first={layout == TIME_FIRST}, or give fit inputs of that "
                f"layout and batch_axis={1 - time}.",
            )
            return
        if shuffled:
            caution(
                model,
                "batch_axis",
                f"{words} takes an input of two axes for one sequence, [T,F], and fit puts the steps in random order. "
                "Give fit sequences [N,T,F], or shuffle=False.",
            )
            return


def _check_activation(model: Module, of: Any, run: Run) -> None:
    """Warns if the network ends with an activation that its loss applies itself, or lacks one that the loss needs."""
    if of is nll_loss and run.output.size and run.output.max() > 1e-6:  # allows for rounding of log(1)
        caution(
            model,
            "activation",
            f"nll_loss takes log-probabilities, which are at most 0, and the model gives {run.output.max():.4g}; "
            "end the model with nn.LogSoftmax, or without an activation and use cross_entropy.",
        )
    if of is not cross_entropy and of is not bce_with_logits:
        return
    for place, (name, layer, _, _) in enumerate(run.calls):
        is_log = isinstance(layer, LogSoftmax)
        if not _squashes(layer) or (is_log and of is cross_entropy):
            continue
        if not _consists_of(run.output, _averaged(run.calls[place:])):
            continue
        words = f"{type(layer).__name__} ({name})" if name else type(layer).__name__
        caution(
            model,
            "activation",
            f"{of.__name__} takes logits, and the model ends with {words}, which bounds them, so training would "
            f"stall. Leave the layer out, or use {BOUNDED[of.__name__]}, which takes probabilities.",
        )
        return


def _consists_of(output: Array, inner: Array) -> bool:
    """Whether a network's output holds the numbers of a layer's, perhaps with other axes or some steps only."""
    few = output.ravel()[:64]
    return bool(few.size) and all((inner == number).any() for number in few)


def _averaged(calls: list[LayerCall]) -> Array:
    """Returns the output of the first call, or of the last pooling after it, which averages probabilities."""
    found: Array = calls[0].output[0]
    for call in calls[1:]:
        if isinstance(call.layer, AVERAGES) and _consists_of(call.input, found):
            found = call.output[0]
    return found


def _squashes(layer: Module) -> bool:
    if isinstance(layer, Activation):
        return layer.name in SIGMOIDS
    return isinstance(layer, (Softmax, LogSoftmax))


def _is_watched(layer: Module) -> bool:
    return taken_by(layer) in TIME_AXIS or _squashes(layer)


def _inside(loss: Any) -> Any:
    """Returns the pyrnn loss inside functools.partial and decorators; None for another loss."""
    while not any(loss is known for known in KNOWN):
        within = getattr(loss, "func" if isinstance(loss, functools.partial) else "__wrapped__", None)
        if within is None:
            return None
        loss = within
    return loss


def _runs_of_a_copy(model: Module, inputs: Array, axis: int) -> tuple[Run, Run] | None:
    """Returns the runs of one sequence and of two; None if they fail, since training will raise the error itself."""
    calls: list[LayerCall] = []
    try:
        twin: Any = copy.deepcopy(model).eval()
        for name, layer in list(twin.named_modules()):
            if _is_watched(layer) or isinstance(layer, AVERAGES):
                layer.__class__ = _watching(type(layer), name, calls)
        return _run(twin, inputs, axis, 1, calls), _run(twin, inputs, axis, 2, calls)
    except Exception:
        return None


def _run(twin: Any, inputs: Array, axis: int, sequences: int, calls: list[LayerCall]) -> Run:
    calls.clear()
    few = np.take(inputs, np.arange(sequences) % inputs.shape[axis], axis)
    with np.errstate(all="ignore"):
        output = np.asarray(twin.vjp(few)[0])
    return Run(output, [call for call in calls if call.output])


def _watching(kind: Any, name: str, calls: list[LayerCall]) -> Any:
    """Makes a subclass that records the inputs and outputs of its calls."""

    def noted(self: Any, method: Callable[..., Any], input: Any, *args: Any, **options: Any) -> Any:
        call = LayerCall(name, self, np.asarray(input), [])
        calls.append(call)
        result = method(self, input, *args, **options)
        call.output.append(result[0] if isinstance(result, tuple) else result)
        return result

    class Watching(kind):  # type: ignore[misc]
        def __call__(self, *args: Any, **options: Any) -> Any:
            return noted(self, kind.__call__, *args, **options)

        def vjp(self, *args: Any, **options: Any) -> Any:
            return noted(self, kind.vjp, *args, **options)

    Watching.__name__ = kind.__name__  # so that errors show the usual name
    return Watching
