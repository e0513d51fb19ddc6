"""Reads the pickle inside a torch file: plain data of a few kinds, without importing anything.

It does not unpickle: `pickletools.genops` cuts the bytes into instructions, and `_Machine` carries out those that
build data. What they name or call stays a name (objects.py). pickle.Unpickler with a strict find_class would still set
attributes, call methods by name and let the file choose the size of its memo.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from typing import Any

from .objects import DICTS, Made, Name, NumPyArray, NumPyType, Storage, Tensor, called, named, storage

MAX_DEPTH = 100  # Dicts and lists may nest this deep, far from Python's recursion limit.
MAX_INSTRUCTIONS = 2**24  # This many instructions describe at most about a gigabyte.


def loads(data: bytes) -> Any:
    """Returns the object that a pickle describes, made of numbers, texts, lists, tuples and the classes of objects.py.

    Raises:
        ValueError: if the pickle is damaged.
    """
    machine = _Machine()
    try:
        for opcode, argument in _instructions(data):
            machine.step(opcode, argument)
        return machine.stack.pop()
    except (IndexError, KeyError, TypeError) as error:
        raise ValueError(f"its pickle is damaged ({type(error).__name__}: {str(error)[:100]})") from error


def _instructions(data: bytes) -> Iterator[tuple[str, Any]]:
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if count >= MAX_INSTRUCTIONS:
                break
            yield opcode.name, argument
        else:
            return
    except (ValueError, OverflowError, DeprecationWarning) as error:
        # pickletools warns at a backslash in a name, which raises DeprecationWarning where warnings are errors.
        raise ValueError(f"its pickle is damaged ({str(error)[:100]})") from error
    raise ValueError(f"its pickle has more than {MAX_INSTRUCTIONS} instructions")


class _Machine:
    """Is pickle's stack machine without the instructions that look up, call or set."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def step(self, opcode: str, argument: Any) -> None:
        act = _ACTS.get(opcode)
        if act is None:
            raise ValueError(f"its pickle uses the instruction {opcode}, which needs what no file holds")
        act(self, argument)

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self, count: int) -> list[Any]:
        return self.pop_from(len(self.stack) - count)

    def pop_marked(self) -> list[Any]:
        return self.pop_from(self.marks.pop())

    def pop_from(self, start: int) -> list[Any]:
        if not 0 <= start <= len(self.stack):
            raise IndexError("pop from an empty stack")
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def append(self, new: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is Made and target.name not in DICTS:
            target.elements = new if target.elements is None else target.elements
            if target.elements is not new:
                target.elements.extend(new)
        elif type(target) is list:
            target.extend(new)
        else:
            raise ValueError("its pickle appends to something that is no list")

    def set_items(self, new: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not Made:
            raise ValueError("its pickle sets items of something that is no dict")
        if len(new) % 2:
            raise ValueError("its pickle has a dict with a key that has no value")
        if target.items is None:
            target.items = new
        else:
            target.items.extend(new)

    def set_state(self) -> None:
        """Gives arrays their state and dicts torch's `_metadata`; state that is set on other objects is dropped."""
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) in (NumPyArray, NumPyType):
            target.build(state)
        elif type(target) is Made and target.name in DICTS[1:] and type(state) is Made and state.items:
            for name, value in zip(state.items[::2], state.items[1::2], strict=True):
                if type(name) is str and name == "_metadata":
                    target.metadata = value
        elif type(target) not in (Made, Name, Tensor, Storage) or getattr(target, "name", "") == "dict":
            raise ValueError("its pickle sets attributes of an object that has none")

    # -- instructions that are more than a line ---------------------------------------------------------------
    def make_dict(self, _: Any) -> None:
        items = self.pop_marked()
        self.stack.append(Made("dict"))
        self.set_items(items)

    def remember(self, place: Any) -> None:
        self.memo[len(self.memo) if place is None else place] = self.stack[-1]

    def make_object(self, _: Any) -> None:
        kind, *rest = self.pop_marked()
        self.stack.append(called(kind, tuple(rest)))

    def make_instance(self, name: Any) -> None:
        self.stack.append(called(named(*name.split(" ", 1)), tuple(self.pop_marked())))

    def drop(self, _: Any) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()


Act = Callable[[_Machine, Any], Any]


def _pushing(value: Callable[[_Machine, Any], Any]) -> Act:
    """Makes the instruction that pushes a value."""
    return lambda machine, argument: machine.stack.append(value(machine, argument))


def _each(opcodes: str, act: Act) -> dict[str, Act]:
    return dict.fromkeys(opcodes.split(), act)


# The table says what each instruction does; a dict finds it in a third of the time that a match over fifty names
# takes.
_ACTS: dict[str, Act] = {
    **_each("PROTO FRAME STOP", lambda machine, argument: None),
    **_each("BININT BININT1 BININT2 LONG1 LONG4 INT LONG BINFLOAT FLOAT", _Machine.push),
    **_each("BINUNICODE SHORT_BINUNICODE BINUNICODE8 UNICODE STRING BINSTRING SHORT_BINSTRING", _Machine.push),
    **_each("BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8", _Machine.push),
    "NONE": _pushing(lambda machine, argument: None),
    "NEWTRUE": _pushing(lambda machine, argument: True),
    "NEWFALSE": _pushing(lambda machine, argument: False),
    "EMPTY_TUPLE": _pushing(lambda machine, argument: ()),
    "EMPTY_LIST": _pushing(lambda machine, argument: []),
    "EMPTY_DICT": _pushing(lambda machine, argument: Made("dict")),
    "EMPTY_SET": _pushing(lambda machine, argument: Made("builtins.set", [])),
    "MARK": lambda machine, argument: machine.marks.append(len(machine.stack)),
    "TUPLE": _pushing(lambda machine, argument: tuple(machine.pop_marked())),
    "TUPLE1": _pushing(lambda machine, argument: tuple(machine.pop(1))),
    "TUPLE2": _pushing(lambda machine, argument: tuple(machine.pop(2))),
    "TUPLE3": _pushing(lambda machine, argument: tuple(machine.pop(3))),
    "LIST": _pushing(lambda machine, argument: machine.pop_marked()),
    "DICT": _Machine.make_dict,
    "FROZENSET": _pushing(lambda machine, argument: Made("builtins.frozenset", machine.pop_marked())),
    "APPEND": lambda machine, argument: machine.append(machine.pop(1)),
    **_each("APPENDS ADDITEMS", lambda machine, argument: machine.append(machine.pop_marked())),
    "SETITEM": lambda machine, argument: machine.set_items(machine.pop(2)),
    "SETITEMS": lambda machine, argument: machine.set_items(machine.pop_marked()),
    **_each("BINPUT LONG_BINPUT PUT MEMOIZE", _Machine.remember),  # MEMOIZE names no place.
    **_each("BINGET LONG_BINGET GET", _pushing(lambda machine, argument: machine.memo[argument])),
    # These instructions name, call and set, or are rare.
    "GLOBAL": _pushing(lambda machine, argument: named(*argument.split(" ", 1))),
    "STACK_GLOBAL": _pushing(lambda machine, argument: named(*machine.pop(2))),
    **_each("REDUCE NEWOBJ", _pushing(lambda machine, argument: called(*machine.pop(2)))),
    "NEWOBJ_EX": _pushing(lambda machine, argument: called(*machine.pop(3)[:2])),
    "INST": _Machine.make_instance,
    "OBJ": _Machine.make_object,
    **_each("EXT1 EXT2 EXT4", _pushing(lambda machine, argument: Name(f"copyreg extension {argument}"))),
    "BUILD": lambda machine, argument: machine.set_state(),
    "BINPERSID": _pushing(lambda machine, argument: storage(*machine.stack.pop())),
    "POP": _Machine.drop,
    "POP_MARK": lambda machine, argument: machine.pop_marked(),
    "DUP": _pushing(lambda machine, argument: machine.stack[-1]),
}
