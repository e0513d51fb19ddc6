"""A sound HDF5 file of Keras, and its arrays written again in another storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from keras_files import described, keras2_file

DENSE = described("Dense", "out", units=2)
ARRAYS = {"out/out/kernel:0": np.ones((3, 2)), "out/out/bias:0": np.ones(2)}


def sound(path: Path) -> Path:
    return keras2_file(path, [DENSE], ARRAYS)


def packed(file: Any, **options: Any) -> None:
    for place, shape in enumerate([(30, 7), (5,), (4, 3, 2)]):
        file.create_dataset(f"a/{place}", data=np.random.default_rng(place).normal(size=shape), **options)


DAMAGED = "its HDF5 data are damaged"
