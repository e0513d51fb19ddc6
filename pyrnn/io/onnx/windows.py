"""Reads Conv and pooling nodes as layers."""

from __future__ import annotations

from typing import Any

from pyrnn import nn

from .graph import Graph, Importer, floats
from .package import title
from .views import Atom, Axis, View, axis_of, followed, place, settled, shown, source_of


def conv(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads a Conv over one or two axes."""
    view, who = settled(graph.input(node), title(node)), title(node)
    floats(view, who)
    values = graph.weights(node, 1, len(node.input) - 1)
    weight, dims = values[0], len(view.axes) - 2
    if dims not in (1, 2) or weight.ndim != dims + 2:
        raise ValueError(f"{who} has {dims} axes of space and a weight of shape {weight.shape}; one or two are run")
    if tuple(given.pop("kernel_shape", weight.shape[2:])) != weight.shape[2:]:
        raise ValueError(f"{who} has a kernel_shape that is not its weight's, {weight.shape}")
    options = _windows(given, dims, who)
    groups = given.pop("group", 1)
    graph.learn(view, 1, weight.shape[1] * groups)
    if groups < 1 or weight.shape[1] * groups != view.shape[1] or weight.shape[0] % groups:
        raise ValueError(f"{who} has group={groups} and a weight {weight.shape}, which do not fit an input "
                         f"of axes {shown(view.axes)}")  # fmt: skip
    layer = (nn.Conv1d if dims == 1 else nn.Conv2d)(
        view.shape[1], weight.shape[0], list(weight.shape[2:]), **options, groups=groups, bias=len(values) > 1,
        dtype=weight.dtype, seed=0,
    )  # fmt: skip
    layer.load_state_dict(dict(zip(("weight", "bias"), values, strict=False)))
    axes = [view.axes[0], (Atom(weight.shape[0]),), *_shrunk(view, list(weight.shape[2:]), options, who)]
    return followed(view, [layer], axes, axes, who)


def pool(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads a MaxPool or AveragePool over one or two axes."""
    view, who = settled(graph.input(node), title(node)), title(node)
    floats(view, who)
    dims, kernel = len(view.axes) - 2, list(given.pop("kernel_shape"))
    if dims not in (1, 2) or len(kernel) != dims:
        raise ValueError(f"{who} has {dims} axes of space; one or two are run")
    for name in ("ceil_mode", "storage_order"):
        if given.pop(name, 0):
            raise ValueError(f"{who} has the attribute {name}, which is supported as 0 only")
    options = _windows(given, dims, who)
    if options.pop("dilation") != [1] * dims:
        raise ValueError(f"{who} has the attribute dilations, which is supported as 1 only")
    more: dict[str, Any] = {}
    if node.op_type == "AveragePool":
        more["count_include_pad"] = bool(given.pop("count_include_pad", 0))
        if more["count_include_pad"] and options["padding"] == "same":
            raise ValueError(f"{who} has count_include_pad=1 with auto_pad=SAME_UPPER; only 0 is supported there")
    kinds: dict[tuple[str, int], Any] = {
        ("MaxPool", 1): nn.MaxPool1d,
        ("MaxPool", 2): nn.MaxPool2d,
        ("AveragePool", 1): nn.AvgPool1d,
        ("AveragePool", 2): nn.AvgPool2d,
    }
    layer = kinds[node.op_type, dims](kernel, **options, **more)
    axes = [*view.axes[:2], *_shrunk(view, kernel, options, who)]
    return followed(view, [layer], axes, axes, who)


def _windows(given: dict[str, Any], dims: int, who: str) -> dict[str, Any]:
    """Turns strides, dilations and padding into keywords of pyrnn.nn."""
    automatic = given.pop("auto_pad", "NOTSET")
    pads = given.pop("pads", [0] * (2 * dims))
    options = {"stride": list(given.pop("strides", [1] * dims)), "dilation": list(given.pop("dilations", [1] * dims))}
    if automatic in ("SAME_UPPER", "VALID"):
        return {**options, "padding": {"SAME_UPPER": "same", "VALID": "valid"}[automatic]}
    if automatic != "NOTSET":
        raise ValueError(f"{who} has auto_pad={automatic}; NOTSET, VALID and SAME_UPPER are supported")
    pairs = list(zip(pads[:dims], pads[dims:], strict=True))
    if all(before == after for before, after in pairs):
        return {**options, "padding": [before for before, _ in pairs]}
    return {**options, "padding": [list(pair) for pair in pairs]}


def _shrunk(view: View, kernel: list[int], options: dict[str, Any], who: str) -> list[Axis]:
    """Returns the axes of space after windows of this kernel."""
    found: list[Axis] = []
    padding = options["padding"]
    for i, axis in enumerate(view.axes[2:]):
        length, stride = view.shape[2 + i], options["stride"][i]
        extent = (kernel[i] - 1) * options.get("dilation", [1, 1])[i] + 1
        pads = 0 if padding == "valid" else padding[i]
        total = length + (sum(pads) if isinstance(pads, list) else 0 if padding == "same" else 2 * pads)
        made = -(-length // stride) if padding == "same" else (total - extent) // stride + 1
        if made < 1:
            raise ValueError(f"{who} has a kernel that is larger than its input")
        found.append((Atom(made, any(atom.free for atom in axis)),))
    return found


def overall(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads a GlobalAveragePool or GlobalMaxPool."""
    view = graph.input(node)
    return _overall(view, list(range(2, len(view.axes))), "Average" in node.op_type, True, title(node))


def reduce(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads a ReduceMean or ReduceMax over time or over all axes of space."""
    view, stored, who = graph.input(node), graph.weight(node, 1), title(node)
    listed = given.pop("axes", None) if stored is None else stored.reshape(-1).tolist()
    if (keep := given.pop("keepdims", 1)) not in (0, 1):
        raise ValueError(f"{who} has keepdims={keep}; expected 0 or 1")
    if given.pop("noop_with_empty_axes", 0) or not listed:
        raise ValueError(f"{who} has no axes; name them")
    over = sorted({axis_of(view, axis, who) for axis in listed[: len(view.axes) + 1]})
    if len(over) < len(listed):
        raise ValueError(f"{who} has axes={listed[:8]}, and names one of {len(view.axes)} axes twice")
    return _overall(view, over, node.op_type == "ReduceMean", keep == 1, who)


def _overall(view: View, over: list[int], average: bool, keep: bool, who: str) -> View:
    floats(view, who)
    shown = [() if i in over else axis for i, axis in enumerate(view.axes) if keep or i not in over]
    if len(view.axes) == 4 and over == [2, 3]:
        view = settled(view, who)
        layer = nn.GlobalAveragePool2d() if average else nn.GlobalMaxPool2d()
        return followed(view, [layer], view.axes[:2], shown, who)
    if len(view.axes) != 3 or len(over) != 1:
        raise ValueError(f"{who} goes over axes {over} of {len(view.axes)}; time, or height and width, are supported")
    time = place(view, over[0], who)
    if time not in (0, 1) or len(source_of(view, who).axes) != 3:
        rest = [axis for i, axis in enumerate(view.axes) if i != over[0]]
        view, time = settled(view.moved([rest[0], view.axes[over[0]], rest[1]]), who), 1
    axes = source_of(view, who).axes
    kind = nn.GlobalAveragePool1d if average else nn.GlobalMaxPool1d
    return followed(view, [kind(batch_first=time == 1)], [axes[1 - time], axes[2]], shown, who)


IMPORTERS: dict[str, Importer] = {
    "Conv": conv,
    "MaxPool": pool,
    "AveragePool": pool,
    "GlobalAveragePool": overall,
    "GlobalMaxPool": overall,
    "ReduceMean": reduce,
    "ReduceMax": reduce,
}
