"""Translates the activations of ONNX's recurrent nodes to pyrnn's names and back."""

from __future__ import annotations

from typing import Any

from pyrnn.checks.quoting import quoted

DEFAULTS = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}

# This maps ONNX's functions to the defaults of alpha and beta, None where a function has none. As in ONNX Runtime,
# each function that has an alpha takes the next value of the list activation_alpha, and likewise for beta.
NUMBERS: dict[str, tuple[float | None, float | None]] = {
    "Relu": (None, None),
    "Tanh": (None, None),
    "Sigmoid": (None, None),
    "Affine": (1.0, 0.0),
    "HardSigmoid": (0.2, 0.5),
}

# This maps ONNX's function, alpha and beta to pyrnn's name.
OURS: dict[tuple[str, float | None, float | None], str] = {
    ("Relu", None, None): "relu",
    ("Tanh", None, None): "tanh",
    ("Sigmoid", None, None): "sigmoid",
    ("Affine", 1.0, 0.0): "identity",
    ("HardSigmoid", 0.2, 0.5): "hard_sigmoid_keras2",
    ("HardSigmoid", 0.166667, 0.5): "hard_sigmoid_keras3",
}


def activations(who: str, op: str, directions: int, given: dict[str, Any]) -> tuple[tuple[str, ...], ...]:
    """Removes the three lists from a node's attributes, and returns pyrnn's names of each direction's functions.

    Returns:
        For each direction (activation,) for an RNN, and (recurrent_activation, activation) for the others.

    Raises:
        ValueError: if a list has a wrong length, or pyrnn lacks a function.
    """
    count = len(DEFAULTS[op])
    names = given.pop("activations", list(DEFAULTS[op]) * directions)
    if not isinstance(names, list) or len(names) != count * directions:
        raise ValueError(f"{who} should have a list of {count} activations for each of {directions} directions")
    lists = {name: list(given.pop(name, [])) for name in ("activation_alpha", "activation_beta")}
    if not all(isinstance(value, (int, float)) for values in lists.values() for value in values):
        raise ValueError(f"{who} has an activation_alpha or activation_beta that is no list of numbers")
    ours = [_ours(who, name, *lists.values()) for name in names]
    for name, left in lists.items():
        if left:
            raise ValueError(f"{who} has more values in {name} than its activations {', '.join(names)} take")
    groups = [tuple(ours[i : i + count]) for i in range(0, len(ours), count)]
    for group in groups:
        if op == "LSTM" and group[1] != group[2]:
            raise ValueError(
                f"{who} has activations {names}: pyrnn's LSTM has one function for the candidate (g) and the "
                "output (h), and these differ"
            )
    return tuple(group[:2] for group in groups)


def _ours(who: str, name: str, alphas: list[float], betas: list[float]) -> str:
    known = next((known for known in NUMBERS if known.lower() == str(name).lower()), None)
    if known is None:
        raise ValueError(f"{who} has the activation {quoted(name)}; {', '.join(NUMBERS)} are supported")
    alpha, beta = (
        default if default is None else round(float(values.pop(0)), 6) if values else default
        for default, values in zip(NUMBERS[known], (alphas, betas), strict=True)
    )
    ours = OURS.get((known, alpha, beta))
    if ours is None:
        raise ValueError(f"{who} has the activation {known} with alpha={alpha} and beta={beta}, which pyrnn lacks")
    return ours


def onnx_activation(ours: str) -> tuple[str, float | None, float | None]:
    """Returns ONNX's function, alpha and beta for a name of pyrnn; HardSigmoid's 1/6 is not rounded."""
    function, alpha, beta = next(key for key, name in OURS.items() if name == ours)
    return function, 1 / 6 if ours == "hard_sigmoid_keras3" else alpha, beta
