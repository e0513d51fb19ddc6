"""`measure` runs a model on torch's layers and on the drop-ins, in turn, and compares time and numbers."""

from __future__ import annotations

import functools
import math
import statistics
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pyrnn.checks.quoting import brief

from .accelerate import accelerate, restore
from .counters import Stats, stats
from .registered import check_module
from .report import AccelerateReport, table
from .trial import Trial

LEAST_ROUNDS = 3


@dataclass(frozen=True)
class Timing:
    """The medians of one kind of call, in seconds, and what part of them recurrent modules take.

    Attributes:
        torch: seconds of a call on torch's modules.
        pyrnn: seconds of a call on the drop-ins.
        torch_share: the part of `torch` that the recurrent modules take, from 0 to 1.
        pyrnn_share: the part of `pyrnn`.
    """

    torch: float
    pyrnn: float
    torch_share: float
    pyrnn_share: float

    @property
    def ratio(self) -> float:
        """How many times as fast the model is on the drop-ins."""
        return self.torch / self.pyrnn

    def row(self, what: str) -> tuple[str, ...]:
        times = (f"{1e3 * seconds:.3g} ms" for seconds in (self.torch, self.pyrnn))
        shares = (f"{share:.0%}" for share in (self.torch_share, self.pyrnn_share))
        return what, *times, f"{self.ratio:.2f}", *shares


@dataclass(frozen=True)
class Measurement:
    """The result of `measure`; `print` shows it as a table.

    Attributes:
        inference: times without gradients, in evaluation mode.
        training: times of a call and its backward in training mode; None if no output has gradients.
        outputs: the largest difference between the outputs, divided by the largest output if that is above 1.
        gradients: the same of the gradients of all parameters; None without training.
        calls: who ran the drop-ins' calls.
        report: what `accelerate` swapped in the copy that was measured.
    """

    inference: Timing
    training: Timing | None
    outputs: float
    gradients: float | None
    calls: Stats
    report: AccelerateReport

    def __str__(self) -> str:
        rows = [("", "torch", "pyrnn", "ratio", "recurrence: torch", "pyrnn"), self.inference.row("inference")]
        if self.training is not None:
            rows.append(self.training.row("training"))
        differences = f"largest difference of outputs {self.outputs:.1e}"
        if self.gradients is not None:
            differences += f", of gradients {self.gradients:.1e}"
        return "\n".join(
            [table(rows, right=range(1, 6)), differences, "calls of the drop-ins:", str(self.calls), str(self.report)]
        )


def measure(model: nn.Module, *inputs: Any, seconds: float = 2.0, **keywords: Any) -> Measurement:
    """Measures what `accelerate` does for a model: time and numbers, before and after.

    It makes two copies of the model, one with torch's modules and one with the drop-ins, and calls them in turn, so
    that other programs disturb both alike. The model, its gradients and torch's random numbers stay as they are. A
    training step is a call, the mean square of its outputs as loss, and backward. The share of recurrence is that of
    the recurrent modules' calls alone, repeated on the arguments that they had in the model. These calls count in
    `stats` too.

    Args:
        model: any module; accelerated or not.
        *inputs: the arguments of a call.
        seconds: about how long to measure; each copy runs a few times at least.
        **keywords: the keywords of a call.

    Returns:
        A `Measurement`: times, ratios, shares, differences, and who ran the calls.

    Raises:
        TypeError: if the model is no module, or a call returns no tensor of floating-point numbers.
        ValueError: if the model cannot be copied, or seconds is not positive and finite.

    Example:
        >>> import torch, pyrnn.torch
        >>> model = torch.nn.GRU(8, 16)
        >>> found = pyrnn.torch.measure(model, torch.randn(20, 4, 8), seconds=0.1)
        >>> found.outputs < 1e-5, found.gradients < 1e-4, found.calls.torch
        (True, True, {})
        >>> type(model)
        <class 'torch.nn.modules.rnn.GRU'>
    """
    check_module(model, "measure")
    if not isinstance(seconds, (int, float)) or not 0 < seconds < math.inf:
        raise ValueError(f"seconds should be a finite number above 0, got {brief(seconds)}")
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
        theirs, ours = (Trial(model, inputs, keywords) for _ in range(2))
        restore(theirs.model)
        restore(ours.model)
        report = accelerate(ours.model)
        trains = [trial.trains() for trial in (theirs, ours)]  # of both, because a call may change a model's state
        before = stats()
        pairs = [theirs.run(False), ours.run(False)]
        trained = [theirs.run(True), ours.run(True)] if all(trains) else None
        calls = since(before)
        share = seconds / (1 if trained is None else 2)
        return Measurement(
            timing(theirs, ours, False, share),
            None if trained is None else timing(theirs, ours, True, share),
            difference(*(outputs for outputs, _ in pairs)),
            None if trained is None else difference(*(gradients for _, gradients in trained)),
            calls,
            report,
        )


def timing(theirs: Trial, ours: Trial, training: bool, seconds: float) -> Timing:
    """Measures both in turn; the first calls were made before, to compare their results."""
    parts = [(trial.step, trial.recurrence(training)) for trial in (theirs, ours)]
    calls = [call for step, recurrence in parts for call in (functools.partial(step, training), recurrence)]
    for call in calls:
        call()
    times: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + seconds
    while len(times[0]) < LEAST_ROUNDS or time.perf_counter() < end:
        for call, taken in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
    whole, part, our_whole, our_part = map(statistics.median, times)
    return Timing(whole, our_whole, min(1.0, part / whole), min(1.0, our_part / our_whole))


def difference(theirs: list[Tensor], ours: list[Tensor]) -> float:
    """Returns the largest difference of two lists of tensors, divided by the largest finite number if it is above 1.

    It is NaN or infinite if a number is so in one list and another in the other.
    """
    if not theirs:
        return 0.0
    a, b = (torch.cat([part.to_dense().flatten() for part in parts]) for parts in (theirs, ours))
    gaps = (a - b).abs().masked_fill((a == b) | (a.isnan() & b.isnan()), 0)
    scale = a.abs().masked_fill(~a.isfinite(), 0)
    return float(gaps.max()) / max(1.0, float(scale.max())) if a.numel() else 0.0


def since(before: Stats) -> Stats:
    """Returns the calls that were counted after `before`."""
    now = stats()
    reasons = {reason: count - before.torch.get(reason, 0) for reason, count in now.torch.items()}
    return Stats(now.kernels - before.kernels, {reason: count for reason, count in reasons.items() if count})
