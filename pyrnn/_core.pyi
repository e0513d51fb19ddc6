from typing import Any

from numpy.typing import NDArray

__version__: str
compiler: str

def isa() -> str: ...
def available_isas() -> list[str]: ...
def num_threads() -> int: ...
def set_num_threads(n: int) -> None: ...
def tanh(x: NDArray[Any], isa: str | None = None) -> NDArray[Any]: ...
def sigmoid(x: NDArray[Any], isa: str | None = None) -> NDArray[Any]: ...

class Spec:
    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        bias: bool = True,
        proj_size: int = 0,
    ) -> None: ...
    @property
    def parameters(self) -> list[tuple[str, tuple[int, ...]]]: ...
    @property
    def gates(self) -> str: ...

class Weights:
    def __init__(self, spec: Spec, parameters: list[NDArray[Any]], isa: str | None = None) -> None: ...
    def run(
        self,
        x: NDArray[Any],
        state: list[NDArray[Any]],
        batch_first: bool,
        masks: list[NDArray[Any]],
        record: bool,
    ) -> tuple[Any, ...]: ...

class Tape:
    def backward(
        self, grad_output: NDArray[Any] | None, grad_state: list[NDArray[Any] | None]
    ) -> tuple[NDArray[Any], list[NDArray[Any]], list[NDArray[Any]]]: ...

class Linear:
    def __init__(self, weight: NDArray[Any], bias: NDArray[Any] | None) -> None: ...
    def forward(self, x: NDArray[Any]) -> NDArray[Any]: ...
    def backward(
        self, x: NDArray[Any], grad_output: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]: ...
