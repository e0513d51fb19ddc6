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
        activation: str = "tanh",
        recurrent_activation: str = "sigmoid",
        peephole: bool = False,
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
        active: NDArray[Any] | None = None,
        hold: bool = False,
        reset: NDArray[Any] | None = None,
        reset_state: list[NDArray[Any]] = [],
        all_cell_states: bool = False,
        every: int = 0,
    ) -> tuple[Any, ...]: ...

class Tape:
    def backward(
        self,
        grad_output: NDArray[Any] | None,
        grad_state: list[NDArray[Any] | None],
        grad_states: NDArray[Any] | None = None,
        all_states: bool = False,
    ) -> tuple[Any, ...]: ...
    def slots(self, index: int) -> NDArray[Any]: ...
    def input(self, layer: int) -> NDArray[Any]: ...

class Stream:
    def __init__(self, weights: Weights, batch: int) -> None: ...
    def run(
        self,
        x: NDArray[Any],
        out: NDArray[Any] | None = None,
        active: NDArray[Any] | None = None,
        hold: bool = False,
    ) -> NDArray[Any]: ...
    def state(self) -> list[NDArray[Any]]: ...
    def set_state(self, state: list[NDArray[Any]]) -> None: ...
    def reset(self, mask: NDArray[Any] | None = None) -> None: ...

class Linear:
    def __init__(self, weight: NDArray[Any], bias: NDArray[Any] | None) -> None: ...
    def forward(self, x: NDArray[Any]) -> NDArray[Any]: ...
    def backward(
        self, x: NDArray[Any], grad_output: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]: ...
