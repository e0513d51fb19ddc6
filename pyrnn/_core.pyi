from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

# A NumPy array, or a tensor of a library that speaks DLPack's C exchange API, as torch does.
_Array = Any

__version__: str
compiler: str

def isa() -> str: ...
def available_isas() -> list[str]: ...
def num_threads() -> int: ...
def usable_cpus(root: str = "") -> int: ...
def set_num_threads(n: int) -> None: ...
def follow_host(library: str, count: Callable[[], int]) -> bool: ...
def activate(name: str, x: NDArray[Any], alpha: float = 0.0, isa: str | None = None) -> NDArray[Any]: ...
def softmax(x: NDArray[Any], isa: str | None = None) -> NDArray[Any]: ...
def fma_gflops(seconds: float = 0.05) -> float: ...
def read_gbytes(bytes: int, seconds: float = 0.05) -> float: ...

class Spec:
    @staticmethod
    def make(
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
    ) -> Spec: ...
    @property
    def parameters(self) -> list[tuple[str, tuple[int, ...]]]: ...

class Weights:
    @staticmethod
    def pack(spec: Spec, parameters: Sequence[_Array], isa: str | None = None, format: str = "float32") -> Weights: ...
    @property
    def nbytes(self) -> int: ...
    def run(
        self,
        x: _Array,
        state: Sequence[_Array],
        batch_first: bool,
        masks: Sequence[_Array],
        record: bool,
        active: _Array | None = None,
        hold: bool = False,
        reset: _Array | None = None,
        reset_state: Sequence[_Array] = ...,
        all_cell_states: bool = False,
        every: int = 0,
        is_step: bool = False,
    ) -> tuple[Any, ...]: ...
    def run_if_holds(
        self, parameters: Sequence[_Array], x: _Array, state: Sequence[_Array], batch_first: bool, is_step: bool
    ) -> tuple[Any, ...] | None: ...
    def __deepcopy__(self, memo: dict[Any, Any]) -> Weights: ...
    def holds(self, parameters: Sequence[_Array]) -> bool: ...

class Tape:
    def backward(
        self,
        grad_output: _Array | None,
        grad_state: Sequence[_Array | None],
        grad_states: _Array | None = None,
        all_states: bool = False,
        want_input: bool = True,
        want_parameters: bool = True,
    ) -> tuple[Any, ...]: ...
    def slots(self, index: int) -> NDArray[Any]: ...
    def input(self, layer: int) -> NDArray[Any]: ...

class Stream:
    @staticmethod
    def make(weights: Weights, batch: int) -> Stream: ...
    def run(
        self,
        x: _Array,
        out: _Array | None = None,
        active: _Array | None = None,
        hold: bool = False,
    ) -> _Array: ...
    def state(self) -> list[_Array]: ...
    def set_state(self, state: Sequence[_Array]) -> None: ...
    def reset(self, mask: _Array | None = None) -> None: ...
    def seconds_of(self, x: _Array, out: _Array, steps: int) -> float: ...

class Linear:
    @staticmethod
    def pack(weight: NDArray[Any], bias: NDArray[Any] | None) -> Linear: ...
    def forward(self, x: NDArray[Any]) -> NDArray[Any]: ...
    def backward(
        self, x: NDArray[Any], grad_output: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]: ...
