"""Reads the configuration of one layer of a Keras model.

Every attribute is read, known to have no effect, or refused: one that is ignored could change the result.
"""

from __future__ import annotations

import reprlib
from typing import Any, NoReturn

from pyrnn.checks.arguments import MOST
from pyrnn.checks.quoting import quoted

Version = tuple[int, int]

# These attributes affect only training, speed, or the first weights, which the file replaces.
IDLE = {
    "activity_regularizer",
    "batch_input_shape",
    "batch_shape",
    "batch_size",
    "dropout",
    "implementation",
    "input_dtype",
    "input_length",
    "input_shape",
    "momentum",
    "name",
    "noise_shape",
    "recurrent_dropout",
    "renorm_clipping",
    "renorm_momentum",
    "seed",
    "stateful",
    "synchronized",
    "trainable",
    "unit_forget_bias",
    "unroll",
    "use_cudnn_on_gpu",
    "virtual_batch_size",
}
UNSAID = ""
LARGE = 1e300  # No sound file has such a number, and a larger integer may exceed every float.
IDLE_ENDINGS = ("_initializer", "_regularizer", "_constraint")


def text(value: object) -> str:
    """Returns a value of a configuration as text; of a long or deeply nested list it returns the beginning."""
    return value if isinstance(value, str) else reprlib.repr(value)


def shown(value: object) -> str:
    """Returns the same text for a sentence: cut, and printable on any terminal."""
    return quoted(text(value))[1:-1]


def _size_like(value: object, otherwise: str) -> str:
    """Says what a size should be; for one that is too large it says the limit."""
    large = any(type(n) is int and n > MOST for n in (value if isinstance(value, list) else [value]))
    return f"at most {MOST}" if large else otherwise


class KerasLayer:
    """Reads one layer of a configuration: its class, its name and its attributes.

    Attributes:
        kind: the class name, such as "LSTM".
        name: the name in the file, such as "lstm_1".
        version: (major, minor) of the Keras that wrote the file, or None.
        standalone: whether that was Keras 2 without TensorFlow.
        mask_from: the name of the layer whose mask it is called with; None if it is called without one; UNSAID if the
            file does not say, and the mask of the layer before applies.
    """

    def __init__(self, description: Any, version: Version | None, standalone: bool = False) -> None:
        if not isinstance(description, dict) or not isinstance(description.get("class_name"), str):
            raise ValueError(f"its configuration holds something that is no layer: {quoted(text(description))}")
        config = description.get("config")
        self.kind: str = description["class_name"]
        if not isinstance(config, dict):
            raise ValueError(f"the layer {self.kind} has no configuration")
        self._config, self._asked = config, {"dtype"}
        name = config.get("name", description.get("name", self.kind))
        self.name: str = name if isinstance(name, str) else self.kind
        self.version, self.standalone = version, standalone
        self.mask_from: str | None = UNSAID
        self._build = description.get("build_config")
        registered = description.get("registered_name")
        if registered not in (None, self.kind):
            self.refuse(f"it is a custom class, {quoted(text(registered))}")

    def refuse(self, why: str) -> NoReturn:
        """Raises ValueError, which names the layer."""
        raise ValueError(f"layer {quoted(self.name)} ({shown(self.kind)}): {why}")

    def inner(self, attribute: str) -> KerasLayer:
        """Returns the layer that this one wraps."""
        return KerasLayer(self.get(attribute), self.version, self.standalone)

    def get(self, attribute: str, default: Any = None) -> Any:
        """Returns the value of an attribute as JSON has it; `default` if it is missing."""
        self._asked.add(attribute)
        return self._config.get(attribute, default)

    def flag(self, attribute: str, default: bool = False) -> bool:
        """Returns an attribute that is true or false."""
        value = self.get(attribute, default)
        if not isinstance(value, bool):
            self.refuse(f"{attribute} should be true or false, got {quoted(text(value))}")
        return value

    def size(self, attribute: str) -> int:
        """Returns an attribute that is a positive integer."""
        value = self.get(attribute)
        if type(value) is not int or not 0 < value <= MOST:
            self.refuse(f"{attribute} should be {_size_like(value, 'a positive integer')}, got {quoted(text(value))}")
        return value

    def sizes(self, attribute: str, count: int, default: Any = None) -> list[int]:
        """Returns an attribute that is one positive integer or `count` of them."""
        value = self.get(attribute, default)
        found = value if isinstance(value, list) else [value] * count
        if len(found) != count or not all(type(n) is int and 0 < n <= MOST for n in found):
            expected = _size_like(found, f"{count} positive integers")
            self.refuse(f"{attribute} should be {expected}, got {quoted(text(value))}")
        return found

    def number(self, attribute: str, default: float | None = None) -> float:
        """Returns an attribute that is a finite number."""
        value = self.get(attribute, default)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < LARGE:
            self.refuse(f"{attribute} should be a number, got {quoted(text(value))}")
        return float(value)

    def expect(self, **values: Any) -> None:
        """Refuses an attribute that is set to another value than this."""
        for attribute, value in values.items():
            if self.get(attribute, value) != value:
                self.refuse(f"{attribute}={shown(self.get(attribute))} is not supported, only {attribute}={value}")

    def last_axis(self, attribute: str, rank: int | None) -> None:
        """Refuses an attribute that names another axis than the last of an input of this rank."""
        value = self.get(attribute, -1)
        axis = value[0] if isinstance(value, list) and len(value) == 1 else value
        if axis != -1 and (rank is None or axis != rank - 1):
            self.refuse(f"{attribute}={shown(value)} is not supported, only the last axis (-1)")

    def dtype(self) -> str:
        """Returns the precision of the layer: "float32" or "float64"."""
        value = "float32" if self.kind == "InputLayer" else self._config.get("dtype", "float32")
        if isinstance(value, dict):
            inner = value.get("config")
            value = inner.get("name") if isinstance(inner, dict) else None
        if value not in ("float32", "float64", None):
            self.refuse(
                f"dtype={shown(value)} is not supported: Keras would round to it and pyrnn would not; "
                "set the policy to float32 and save the model again"
            )
        return value or "float32"

    def input_rank(self) -> int | None:
        """Returns the number of axes of the input, with the batch; None if the file does not say it."""
        build = self._build if isinstance(self._build, dict) else {}
        given = (build.get("input_shape"), self._config.get("batch_shape"), self._config.get("batch_input_shape"))
        return next((len(shape) for shape in given if isinstance(shape, list)), None)

    def close(self) -> None:
        """Refuses the layer if an attribute is set that nothing has read."""
        self.dtype()
        for attribute, value in self._config.items():
            idle = attribute in IDLE or attribute.endswith(IDLE_ENDINGS) or attribute in self._asked
            if not idle and value not in (None, False):
                self.refuse(f"the attribute {shown(attribute)}={shown(value)} is not known; it may change the result")
