"""Every layer of pyrnn.nn takes NumPy's arrays alone, and refuses tensors and frames."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("pandas")

import pandas as pd
import torch
from nn_samples import SAMPLES


@pytest.mark.parametrize("value", [torch.ones(2, 3), pd.DataFrame([[1.0]])], ids=["a tensor", "a frame"])
@pytest.mark.parametrize("name", SAMPLES)
def test_tensors_and_frames_are_refused(name: str, value: Any) -> None:
    for method in ("__call__", "vjp"):
        with pytest.raises(TypeError, match="NumPy array"):
            getattr(SAMPLES[name][0](), method)(value)


@pytest.mark.parametrize("name", SAMPLES)
def test_gradients_in_a_tensor_are_refused(name: str) -> None:
    output, *_, pullback = SAMPLES[name][0]().vjp(SAMPLES[name][1]())
    with pytest.raises(TypeError, match="grad_output"):
        pullback(torch.ones(output.shape))
