"""onnxruntime runs on its CPU provider."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import onnxruntime

from pyrnn.checks.arrays import Array

from ..case import Case
from ..measure import Contestant
from .onnx_model import feeds, one_node, results


@contextmanager
def started(task: str, threads: int) -> Iterator[Any]:
    """The maker of contestants."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors
    # Its workers spin in a call, as by default, but not after it, where they would slow the next contestant.
    options.add_session_config_entry("session.force_spinning_stop", "1")

    def contestant(case: Case, weights: Mapping[str, Array]) -> Contestant:
        session = onnxruntime.InferenceSession(one_node(case, weights), options, providers=["CPUExecutionProvider"])
        run, given = session.run, feeds(case)
        return Contestant(lambda: run(None, given), results)

    yield contestant
