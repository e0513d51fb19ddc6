"""One layer as the configuration of a Keras model describes it.

Every attribute is read, known to be idle, or refused: one that nobody looks at could change the result.
"""

from __future__ import annotations

import reprlib
from typing import Any, NoReturn

from pyrnn.checks.arguments import MOST
from pyrnn.checks.quoting import quoted

Version = tuple[int, int]

# They bear on training, on the speed, or on the making of weights that the file then holds.
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
LARGE = 1e300  # no honest number, and an integer beyond it is no float at all
IDLE_ENDINGS = ("_initializer", "_regularizer", "_constraint")


def text(value: object) -> str:
    """A value of a configuration as a text; of a long list, or a deep one, the beginning."""
    return value if isinstance(value, str) else reprlib.repr(value)


def shown(value: object) -> str:
    """The same as it stands in sentences: cut, and printable on any terminal."""
    return quoted(text(value))[1:-1]


def _size_like(value: object, otherwise: str) -> str:
    """What a size should be: the limit for one that is too large."""
    large = any(type(n) is int and n > MOST for n in (value if isinstance(value, list) else [value]))
    return f"at most {MOST}" if large else otherwise


class Layer:
    """One layer: its class, its name, its attributes.

    Attributes:
        kind: the class name, "LSTM".
        name: as the file has it, "lstm_1".
        version: (major, minor) of the Keras that wrote the file, or None.
        standalone: whether that was the Keras 2 without TensorFlow.
        mask_from: the name of the layer whose mask it is called with, None for no mask, or UNSAID: the mask that
            comes along.
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
        """Raises ValueError, naming the layer."""
        raise ValueError(f"layer {quoted(self.name)} ({shown(self.kind)}): {why}")

    def inner(self, attribute: str) -> Layer:
        """The layer that this one wraps."""
        return Layer(self.get(attribute), self.version, self.standalone)

    def get(self, attribute: str, default: Any = None) -> Any:
        """The value of an attribute as JSON has it; `default` if it is not there."""
        self._asked.add(attribute)
        return self._config.get(attribute, default)

    def flag(self, attribute: str, default: bool = False) -> bool:
        """An attribute that is true or false."""
        value = self.get(attribute, default)
        if not isinstance(value, bool):
            self.refuse(f"{attribute} should be true or false, got {quoted(text(value))}")
        return value

    def size(self, attribute: str) -> int:
        """An attribute that is a positive integer."""
        value = self.get(attribute)
        if type(value) is not int or not 0 < value <= MOST:
            self.refuse(f"{attribute} should be {_size_like(value, 'a positive integer')}, got {quoted(text(value))}")
        return value

    def sizes(self, attribute: str, count: int, default: Any = None) -> list[int]:
        """An attribute that is one positive integer or `count` of them."""
        value = self.get(attribute, default)
        found = value if isinstance(value, list) else [value] * count
        if len(found) != count or not all(type(n) is int and 0 < n <= MOST for n in found):
            expected = _size_like(found, f"{count} positive integers")
            self.refuse(f"{attribute} should be {expected}, got {quoted(text(value))}")
        return found

    def number(self, attribute: str, default: float | None = None) -> float:
        """An attribute that is a finite number."""
        value = self.get(attribute, default)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < LARGE:
            self.refuse(f"{attribute} should be a number, got {quoted(text(value))}")
        return float(value)

    def expect(self, **values: Any) -> None:
        """Refuses an attribute that is there and has another than this value."""
        for attribute, value in values.items():
            if self.get(attribute, value) != value:
                self.refuse(f"{attribute}={shown(self.get(attribute))} is not supported, only {attribute}={value}")

    def last_axis(self, attribute: str, rank: int | None) -> None:
        """Refuses an attribute that names another than the last axis of an input of this rank."""
        value = self.get(attribute, -1)
        axis = value[0] if isinstance(value, list) and len(value) == 1 else value
        if axis != -1 and (rank is None or axis != rank - 1):
            self.refuse(f"{attribute}={shown(value)} is not supported, only the last axis (-1)")

    def dtype(self) -> str:
        """The precision of the layer: "float32" or "float64"."""
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
        """The number of axes of the input, batch included, if the file says so."""
        build = self._build if isinstance(self._build, dict) else {}
        given = (build.get("input_shape"), self._config.get("batch_shape"), self._config.get("batch_input_shape"))
        return next((len(shape) for shape in given if isinstance(shape, list)), None)

    def close(self) -> None:
        """Refuses the layer if an attribute is set that nothing has asked for."""
        self.dtype()
        for attribute, value in self._config.items():
            idle = attribute in IDLE or attribute.endswith(IDLE_ENDINGS) or attribute in self._asked
            if not idle and value not in (None, False):
                self.refuse(f"the attribute {shown(attribute)}={shown(value)} is not known; it may change the result")
