"""`patched` makes drop-ins of the layers and cells that a block of code builds, whoever wrote the code.

It replaces `__init__` of torch's six classes while it is on, not names of modules, so code that has imported nn.LSTM
before is reached too, and building a layer costs nothing while it is off.
"""

from __future__ import annotations

import inspect
from collections import Counter
from contextlib import ContextDecorator
from functools import wraps
from threading import RLock, local
from typing import Any
from weakref import WeakSet

from torch import nn

from .drop_in import DropIn
from .swap import DROP_INS, class_for, put_in


class Blocks(local):
    """The blocks that the present thread is in."""

    def __init__(self) -> None:
        self.entered: list[Patched] = []


blocks = Blocks()
started: list[Patched] = []  # these reach all threads
lock = RLock()
originals: dict[type[nn.Module], tuple[Any, Any]] = {}  # __init__ of each: torch's own, and the one in place
count = 0  # of blocks in all threads


def patched() -> Patched:
    """Makes drop-ins of torch's recurrent layers and cells that are built inside a `with` block.

    The network may be built by code that the caller does not own, as inside `fit`, and by modules that imported
    nn.LSTM long before. `patched()` is a decorator of functions too. `patched().start()` switches it on until
    `patched().stop()`.

    A block reaches the thread that entered it, with everything that runs on it. Other threads build torch's layers
    meanwhile. `start()` reaches all threads. Processes that are forked inside inherit both; spawned ones do not.
    Blocks may be nested. Layers stay drop-ins after the block, and `restore` makes them torch's again. Layers that are
    loaded from a pickle or copied are not built: `accelerate` swaps them.

    Returns:
        A `Patched`, which counts what was built.

    Example:
        >>> import torch, pyrnn.torch
        >>> with pyrnn.torch.patched() as built:
        ...     model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.GRU(8, 16))
        >>> type(model[1]) is pyrnn.torch.GRU, built.swapped, built.left
        (True, {'GRU': 1}, {})
        >>> type(torch.nn.GRU(8, 16)) is torch.nn.GRU
        True
    """
    return Patched()


class Patched(ContextDecorator):
    """The result of `patched`, which builds drop-ins while it is entered or started.

    Attributes:
        swapped: the number of drop-ins built, by the names of their classes.
        left: the reason why a layer or cell was left as torch's, by the name of its class.
    """

    def __init__(self) -> None:
        self._built: Counter[str] = Counter()
        self._left: dict[str, str] = {}
        self._modules: WeakSet[nn.Module] = WeakSet()

    @property
    def swapped(self) -> dict[str, int]:
        lost = Counter(type(module).__name__ for module in list(self._modules) if not isinstance(module, DropIn))
        return dict(self._built - lost)

    @property
    def left(self) -> dict[str, str]:
        lost = {type(module).__name__: class_for(module, False) for module in list(self._modules)}
        return self._left | {name: reason for name, reason in lost.items() if isinstance(reason, str)}

    def __call__(self, function: Any) -> Any:
        """Decorates a function; raises TypeError for a class, and for a function whose body runs after its call."""
        if isinstance(function, type):
            raise TypeError(
                f"patched() decorates functions, got the class {function.__name__}: decorate its __init__, or build "
                "it inside with patched(): ..."
            )
        later = inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction
        if any(runs_later(function) for runs_later in later):
            raise TypeError(
                "patched() decorates plain functions; in coroutines and generators use with patched(): ..."
            )
        return super().__call__(function)

    def __enter__(self) -> Patched:
        switch(1)
        blocks.entered.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        blocks.entered.remove(self)
        switch(-1)

    def start(self) -> Patched:
        """Switches it on in all threads, until `stop()` of this or of another `patched()`."""
        switch(1)
        with lock:
            started.append(self)
        return self

    def stop(self) -> None:
        """Undoes one `start()`; raises RuntimeError if there was none."""
        with lock:
            if not started:
                raise RuntimeError("patched().stop() undoes a start(), and there was none")
            started.remove(self if self in started else started[-1])
        switch(-1)

    def add(self, module: nn.Module, reason: str | None) -> None:
        name = type(module).__name__
        if reason is None:
            self._built[name] += 1
            self._modules.add(module)
        else:
            self._left[name] = reason


def switch(change: int) -> None:
    """Adds `change` to the number of blocks. The first replaces __init__ of torch's classes, the last undoes it."""
    global count
    with lock:
        count += change
        if count == 0:
            for kind, (original, placed) in list(originals.items()):
                if vars(kind)["__init__"] is placed:  # if others have wrapped it, it stays and only calls torch's
                    kind.__init__ = original  # type: ignore[method-assign]
                    del originals[kind]
        elif count == change == 1:
            for kind in DROP_INS:
                if kind not in originals:
                    original = vars(kind)["__init__"]
                    placed = building(original)
                    originals[kind] = original, placed
                    kind.__init__ = placed  # type: ignore[method-assign]


def building(original: Any) -> Any:
    """Returns an __init__ that makes a drop-in of the module when torch's __init__ is done."""

    @wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(self, *args, **kwargs)
        if isinstance(self, DropIn) or not (active := {*blocks.entered, *started}):
            return
        found = class_for(self, False)
        reason = put_in(self, found) if isinstance(found, type) else found
        for block in active:
            block.add(self, reason)

    return __init__
