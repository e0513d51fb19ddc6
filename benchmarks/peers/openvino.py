"""openvino runs on its CPU device in float32."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import openvino

from pyrnn.checks.arrays import Array

from ..case import Case
from ..measure import Contestant
from .onnx_model import feeds, one_node, results


@contextmanager
def started(task: str, threads: int) -> Iterator[Any]:
    """The maker of contestants."""
    core = openvino.Core()
    properties = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",  # otherwise it takes bfloat16 if the CPU has it
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # the process is pinned already
    }

    def contestant(case: Case, weights: Mapping[str, Array]) -> Contestant:
        compiled = core.compile_model(core.read_model(one_node(case, weights)), "CPU", properties)
        infer, given = compiled.create_infer_request().infer, feeds(case)
        return Contestant(
            lambda: infer(given, share_inputs=True, share_outputs=True),
            lambda result: results([np.array(result[i]) for i in range(len(result))]),
        )

    yield contestant
