"""Reads the two containers of Keras: `.keras` (a zip of JSON and HDF5) and HDF5 itself."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from pyrnn.checks.arrays import Array
from pyrnn.checks.budget import Budget
from pyrnn.checks.quoting import quoted
from pyrnn.weights.archive import read_records
from pyrnn.weights.kinds import HEAD, folder, foreign

from . import hdf5

JSON_RATIO = 24  # A Python object may take this many bytes for each byte of JSON: "{}," becomes 72.
WEIGHTS = "model.weights.h5"


@dataclass(frozen=True)
class Container:
    """Holds the contents of one file of Keras.

    Attributes:
        model: the configuration of the model, or None in a file of weights alone.
        version: (major, minor) of the Keras that wrote it, or None if the file does not say.
        standalone: whether that was Keras 2 without TensorFlow ("2.2.4", not "2.2.4-tf").
        layer_names: the names of the layers in the model's order, in a file of Keras 2's layout, else None.
        arrays: the arrays by path.
        budget: what the file may take; the rest of it is for the layers.
    """

    model: dict[str, Any] | None
    version: tuple[int, int] | None
    standalone: bool
    layer_names: list[str] | None
    arrays: dict[str, Array]
    budget: Budget = field(default_factory=lambda: Budget(0))


def read(path: str, limit: int | None = None) -> Container:
    """Reads a file of Keras.

    Args:
        path: the path of the file.
        limit: the number of bytes that its contents may take, instead of what its length allows.

    Returns:
        The configuration of the model and the arrays.

    Raises:
        ValueError: if the file is damaged or hostile.
    """
    if why := folder(path):
        raise ValueError(why)
    with open(path, "rb") as file:
        head = file.read(HEAD)
        budget = Budget(file.seek(0, 2), limit)
    if refusal := foreign(head):
        raise ValueError(refusal)
    return _read_zip(path, budget) if head.startswith(b"PK\x03\x04") else _read_hdf5(path, budget)


def _read_zip(path: str, budget: Budget) -> Container:
    records = read_records(path, _check_names, compressed=True, budget=budget)
    found = {name: _json(records[name], name, budget) for name in ("metadata.json", "config.json") if name in records}
    contents = hdf5.read(bytes(records[WEIGHTS]), budget)
    version = found.get("metadata.json", {}).get("keras_version")
    return container_of(found["config.json"], version, contents.layer_names, contents.arrays, budget)


def _check_names(names: list[str]) -> None:
    if "model.weights.npz" in names:
        raise ValueError(f"its weights are in model.weights.npz; only {WEIGHTS} is read: save it again with Keras 3")
    for name in ("config.json", WEIGHTS):
        if name not in names:
            raise ValueError(f"it is a zip archive without {name}: no model saved by Keras")


def _read_hdf5(path: str, budget: Budget) -> Container:
    contents = hdf5.read(path, budget)
    config = contents.texts.get("model_config")
    model = None if config is None else _json(config.encode(), "model_config", budget)
    return container_of(model, contents.texts.get("keras_version"), contents.layer_names, contents.arrays, budget)


def container_of(
    model: dict[str, Any] | None, version: Any, layer_names: list[str] | None, arrays: dict[str, Array], budget: Budget
) -> Container:
    """Makes a Container of these contents; raises ValueError for another Keras than 2 or 3."""
    numbers = re.match(r"(\d{1,3})\.(\d{1,3})", version) if isinstance(version, str) else None
    found = (int(numbers[1]), int(numbers[2])) if numbers else None
    if found and found[0] not in (2, 3):
        raise ValueError(
            f"Keras {quoted(version)[1:-1]} wrote it; only files of Keras 2 and 3 are read: save it again with one"
        )
    # tf.keras differs from Keras since its version 2.2.4-tf; before, it called itself 2.1.6 and equalled that Keras.
    standalone = found is not None and (found < (2, 2) or (found < (2, 4) and not str(version).endswith("-tf")))
    return Container(model, found, standalone, layer_names, arrays, budget)


def _json(data: bytes | bytearray, name: str, budget: Budget) -> dict[str, Any]:
    budget.spend(JSON_RATIO * len(data), f"its {name}")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its {name} is no sound JSON ({quoted(error)[1:-1]})") from error
    if not isinstance(value, dict):
        raise ValueError(f"its {name} should be a JSON object, got {type(value).__name__}")
    return value
