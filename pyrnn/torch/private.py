"""All uses of torch's private names, each with the versions of torch that have it and what replaces it without.

`lookup` finds a name. Where torch no longer has it, a fallback takes its place, which is slower but never wrong: at
worst torch runs every call itself. The modules' own underscored attributes (`_flat_weights_names`, `_all_weights` and
the methods that fill them) are not listed: torch pickles them with its layers, so they have to stay.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.autograd import forward_ad

TESTED = ("2.13.0", "2.13.0")  # the oldest and the newest version of torch that the tests have run with
ANYTHING = "torch runs every call, because pyrnn cannot see whether a transform is running"


class Private(NamedTuple):
    """A private name: where it stands in torch, the version that it was seen in, and what happens without it."""

    path: str
    seen: str
    without: str


AUTOCAST = Private("_C._is_any_autocast_enabled", "2.13.0", "torch.is_autocast_enabled('cpu') answers, slower")
TRANSFORMS = Private("_C._functorch.peek_interpreter_stack", "2.13.0", ANYTHING)
LEVEL = Private("autograd.forward_ad._current_level", "2.13.0", ANYTHING)
MODES = Private("_C._len_torch_dispatch_stack", "2.13.0", ANYTHING)
TRACING = Private("_C._is_tracing", "2.13.0", "torch.jit.is_tracing() answers, slower")
LEGACY_BATCH = Private("_C._functorch.is_legacy_batchedtensor", "2.13.0", "torch's operators compute every gradient")
BATCH = Private("_C._functorch.is_batchedtensor", "2.13.0", "lengths= under vmap raises vmap's error")
KEEP_GRAPH = Private("_C._autograd._get_current_graph_task_keep_graph", "2.13.0", "backward frees the tape later")
PROFILER = Private("_C._autograd._profiler_enabled", "2.13.0", "a profile shows no ranges of pyrnn's modules")
ONEDNN = Private("_C._get_mkldnn_enabled", "2.13.0", "torch.backends.mkldnn.is_available() answers")
ONEDNN_BFLOAT16 = Private(
    "ops.mkldnn._is_mkldnn_bf16_supported", "2.13.0", "an LSTM's dtype under autocast may differ"
)
ONEDNN_FLOAT16 = Private("ops.mkldnn._is_mkldnn_fp16_supported", "2.13.0", "an LSTM's dtype under autocast may differ")
BFLOAT16 = Private("cpu._is_avx512_bf16_supported", "2.13.0", "the kernels run an LSTM under autocast, more slowly")
CONSTANT = Private("_dynamo_marked_constant", "2.13.0", "torch.compile breaks its graph at an LSTM under autocast")
EVAL_FRAME = Private("_C._dynamo.eval_frame", "2.13.0", "torch.compiler.disable does it, which imports all of dynamo")
LIBRARY = Private("_C.__file__", "2.13.0", "calls run on threads of pyrnn's own")
NAMES = [value for value in list(globals().values()) if isinstance(value, Private)]


def lookup(name: Private, fallback: Any) -> Any:
    """Returns torch's object of this name, or the fallback."""
    found: Any = torch
    for part in name.path.split("."):
        try:
            found = getattr(found, part)
        except (AttributeError, RuntimeError):  # torch.ops raises RuntimeError for some unknown names
            return fallback
    return found


def unknown() -> None:
    """Stands for a function that tells of torch's state, where torch has none."""


_jit: Any = torch.jit  # Any, because its types lack the function used here
autocasts: Callable[[], bool] = lookup(AUTOCAST, lambda: torch.is_autocast_enabled("cpu"))
transforms: Callable[[], Any] = lookup(TRANSFORMS, unknown)
_modes: Callable[[], int | None] = lookup(MODES, unknown)
tracing: Callable[[], bool] = lookup(TRACING, lambda: _jit.is_tracing())
is_legacy_batch: Callable[[Any], bool] = lookup(LEGACY_BATCH, lambda tensor: True)
is_batch: Callable[[Any], bool] = lookup(BATCH, lambda tensor: False)
keeps_graph: Callable[[], bool] = lookup(KEEP_GRAPH, lambda: True)
is_profiling: Callable[[], bool] = lookup(PROFILER, lambda: False)
has_onednn: Callable[[], bool] = lookup(ONEDNN, torch.backends.mkldnn.is_available)
library: str = lookup(LIBRARY, "")
BLIND = [name for name in (TRANSFORMS, LEVEL, MODES) if lookup(name, unknown) is unknown]
COMPILING = "the model is being compiled"


def is_transforming() -> bool:
    """Whether torch.func or forward-mode differentiation runs, which torch's fused operators may not know."""
    # `is None` would not do: dynamo wraps the result, None too.
    return bool(BLIND) or not isinstance(transforms(), type(None)) or forward_ad._current_level >= 0


def _mode() -> str | None:
    if torch.compiler.is_compiling():  # must be the first check, because dynamo cannot trace the others
        return COMPILING
    if transforms() is not None:
        return "a transform of torch.func (vmap, jvp, grad) is running"
    if forward_ad._current_level >= 0:
        return "forward-mode differentiation is on"
    if _modes():
        return "a dispatch mode (fake tensors, export, profiling of operators) is on"
    if tracing():
        return "the model is being traced"
    return None


def _blind_mode() -> str | None:
    if torch.compiler.is_compiling():
        return COMPILING
    return f"torch {torch.__version__} has no torch.{BLIND[0].path}: {ANYTHING}"


# Names a mode of torch (compiling, a transform ...) in which the kernels cannot run a call, or returns None.
special_mode: Callable[[], str | None] = _blind_mode if BLIND else _mode


def onednn_runs(dtype: torch.dtype) -> bool:
    """Whether torch gives an LSTM's call with an input of this dtype to oneDNN, given that its weights are float32."""
    if not has_onednn():
        return False
    if dtype is torch.bfloat16:
        return bool(lookup(ONEDNN_BFLOAT16, unknown)())
    return dtype is torch.float32 or (not torch.is_grad_enabled() and bool(lookup(ONEDNN_FLOAT16, unknown)()))


def onednn_is_fast(low: torch.dtype) -> bool:
    """Whether this CPU has instructions for products of this dtype of 16 bits, which oneDNN uses."""
    return bool(lookup(BFLOAT16 if low is torch.bfloat16 else ONEDNN_FLOAT16, unknown)())


# torch.compile calls both while it records a graph. torch.compiler.assume_constant_result sets this attribute too, but
# imports all of dynamo.
vars(onednn_runs)[CONSTANT.path] = vars(onednn_is_fast)[CONSTANT.path] = True


def graph_break() -> None:
    """Ends the graph that torch.compile records, and begins another one after the next call."""
    torch._dynamo.graph_break()


def skip_in_graphs(function: Any) -> Any:
    """Keeps torch.compile from tracing a function and the functions that it calls; returns the function."""
    eval_frame = lookup(EVAL_FRAME, None)
    if eval_frame is None:
        disable: Any = torch.compiler.disable
        return disable(function)
    skip = eval_frame._FrameAction.SKIP
    eval_frame.set_code_exec_strategy(function.__code__, eval_frame._FrameExecStrategy(skip, skip))
    return function


def warn_if_untested(version: str) -> None:
    """Warns if the tests have not run with this version of torch."""
    oldest, newest = (_release(tested) for tested in TESTED)
    if not oldest <= _release(version) <= newest:
        tested = TESTED[0] if TESTED[0] == TESTED[1] else f"{TESTED[0]} to {TESTED[1]}"
        warnings.warn(
            f"pyrnn is tested with torch {tested}, and this is torch {version}. It may work; to be sure, compare a "
            "model's results by pyrnn.torch.measure(model, input), or install a tested version.",
            UserWarning,
            stacklevel=3,
        )


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("+")[0])[:3])
