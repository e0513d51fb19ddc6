"""Converts Keras' recurrent layers and Bidirectional."""

from __future__ import annotations

from pyrnn import GRU, LSTM, RNN, nn

from .config import KerasLayer, shown
from .flow import Flow
from .layers import Modules
from .recurrent import CUDNN, RECURRENT_CLASSES, read_cell

MERGE_MODES = ("concat", "sum", "mul", "ave")


def recurrent(layer: KerasLayer, flow: Flow) -> Modules:
    """Converts SimpleRNN, LSTM, GRU, CuDNNLSTM and CuDNNGRU."""
    _check_options(layer, flow)
    sequences, backwards = layer.flag("return_sequences"), layer.flag("go_backwards")
    zero = layer.flag("zero_output_for_mask")
    if zero and flow.mask_from is not None and not sequences:
        layer.refuse(
            "zero_output_for_mask=True is not supported with return_sequences=False: its last output would be zero "
            "wherever the last step is masked"
        )
    made = _one_direction(layer, layer, flow, "", "zero" if zero else "hold")
    found: Modules = [nn.Reverse(batch_first=True), made] if backwards else [made]
    if sequences:
        flow.rank, flow.turned = 3, backwards
        return found
    flow.end_time(2)
    return [*found, nn.LastStep(batch_first=True)]


def bidirectional(layer: KerasLayer, flow: Flow) -> Modules:
    """Converts a Bidirectional of two recurrent layers."""
    flow.heed_mask(layer)
    forward = layer.inner("layer")
    backward = layer.inner("layer" if layer.get("backward_layer") is None else "backward_layer")
    merge_mode = layer.get("merge_mode", "concat")
    if merge_mode not in MERGE_MODES:
        layer.refuse(f"merge_mode={shown(merge_mode)} is not supported, only {', '.join(MERGE_MODES)}")
    sequences = forward.flag("return_sequences")
    if forward.flag("go_backwards") or not (layer.get("backward_layer") is None or backward.flag("go_backwards")):
        layer.refuse("go_backwards=True of its forward layer is not supported; let the forward layer run forward")
    if backward.flag("return_sequences") != sequences:
        layer.refuse("return_sequences of its two layers differ")
    # Keras in TensorFlow, and Keras 3, return zeros at masked steps, whatever the inner layers say.
    masked_output = "hold" if layer.standalone else "zero"
    sides = []
    for side, inner in (("forward_layer", forward), ("backward_layer", backward)):
        if inner.kind not in RECURRENT_CLASSES:
            layer.refuse(f"{side}={shown(inner.kind)} is not supported, only {', '.join(RECURRENT_CLASSES)}")
        _check_options(inner, flow)
        inner.flag("zero_output_for_mask")
        inner.flag("go_backwards")
        sides.append(_one_direction(layer, inner, flow, side, masked_output))
        inner.close()
    made = nn.Bidirectional(sides[0], sides[1], merge_mode=merge_mode, return_sequences=sequences)
    if sequences:
        flow.rank, flow.turned = 3, False
    else:
        flow.end_time(2)
    return [made]


def _one_direction(
    outer: KerasLayer, layer: KerasLayer, flow: Flow, side: str, masked_output: str
) -> RNN | LSTM | GRU:
    """Makes the recurrent layer that `layer` describes; the file keeps its arrays under `outer` and `side`."""
    cell = read_cell(layer)
    part = "/".join(filter(None, (side, "" if layer.kind in CUDNN else "cell")))
    arrays = flow.take(outer, cell.names(), part)
    try:
        return cell.layer(arrays, flow.dtype(layer), masked_output)
    except (RuntimeError, ValueError) as error:
        outer.refuse(f"{error}")


def _check_options(layer: KerasLayer, flow: Flow) -> None:
    """Refuses options without a counterpart. stateful=True is accepted: a call starts from zeros, as after a reset."""
    layer.expect(return_state=False, time_major=False)
    if flow.rank not in (None, 3):
        layer.refuse(f"it needs an input of three axes, batch, time and features, got {flow.rank}")
    flow.heed_mask(layer)
