"""Scores classifications for the examples that classify."""

from __future__ import annotations

from pyrnn.checks.arrays import Array

try:
    from sklearn.metrics import accuracy_score, f1_score
except ImportError as error:
    raise ImportError(f'this example needs {error.name}: pip install "pyrnn-cpu[examples]"') from error


def scores(truth: Array, said: dict[str, Array]) -> dict[str, tuple[float, float]]:
    """Prints and returns (accuracy, macro-F1) of predicted classes [N], by name of the model."""
    found = {name: (accuracy_score(truth, it), f1_score(truth, it, average="macro")) for name, it in said.items()}
    for name, (accuracy, f1) in found.items():
        print(f"{name:33} accuracy {accuracy:.1%}  macro-F1 {f1:.3f}")
    return found
