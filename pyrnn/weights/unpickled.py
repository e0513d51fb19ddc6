"""The pickle inside a torch file: plain data of a few kinds, read without importing anything.

This is no unpickling: `pickletools.genops` cuts the bytes into instructions and `_Machine` carries out those that
build data; what they name and call stays a name (objects.py). (pickle.Unpickler with a strict find_class would still
set attributes, call methods by name and size its memo as the file says.)
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from typing import Any

from pyrnn.weights.objects import DICTS, Made, Name, NumPyArray, NumPyType, Storage, Tensor, called, named, storage

MAX_DEPTH = 100  # of nested dicts and lists: far from Python's recursion limit
MAX_INSTRUCTIONS = 2**24  # the worst that so many can describe takes about a gigabyte

_VALUES = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


def loads(data: bytes) -> Any:
    """The object that a pickle describes, made of numbers, texts, lists, tuples and the classes of objects.py.

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
        # the last where warnings are errors: pickletools warns at a backslash in a name
        raise ValueError(f"its pickle is damaged ({str(error)[:100]})") from error
    raise ValueError(f"its pickle has more than {MAX_INSTRUCTIONS} instructions")


class _Machine:
    """pickle's stack machine, without what looks up, calls or sets."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def step(self, opcode: str, argument: Any) -> None:
        push = self.stack.append
        match opcode:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE" | "SHORT_BINUNICODE":
                push(argument)
            case "BINBYTES" | "SHORT_BINBYTES" | "BINBYTES8" | "BYTEARRAY8" | "BINUNICODE8" | "LONG4":
                push(argument)
            case "INT" | "LONG" | "FLOAT" | "UNICODE" | "STRING" | "BINSTRING" | "SHORT_BINSTRING":
                push(argument)
            case "NONE" | "NEWTRUE" | "NEWFALSE" | "EMPTY_TUPLE":
                push(_VALUES[opcode])
            case "EMPTY_LIST":
                push([])
            case "EMPTY_DICT":
                push(Made("dict"))
            case "EMPTY_SET":
                push(Made("builtins.set", []))
            case "MARK":
                self.marks.append(len(self.stack))
            case "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                push(tuple(self.pop_marked() if opcode == "TUPLE" else self.pop(int(opcode[-1]))))
            case "LIST":
                push(self.pop_marked())
            case "DICT":
                items = self.pop_marked()
                push(Made("dict"))
                self.set_items(items)
            case "FROZENSET":
                push(Made("builtins.frozenset", self.pop_marked()))
            case "APPEND" | "APPENDS" | "ADDITEMS":
                self.append(self.pop(1) if opcode == "APPEND" else self.pop_marked())
            case "SETITEM" | "SETITEMS":
                self.set_items(self.pop(2) if opcode == "SETITEM" else self.pop_marked())
            case "BINPUT" | "LONG_BINPUT" | "PUT" | "MEMOIZE":
                self.memo[len(self.memo) if opcode == "MEMOIZE" else argument] = self.stack[-1]
            case "BINGET" | "LONG_BINGET" | "GET":
                push(self.memo[argument])
            case _:
                self.make(opcode, argument)

    def make(self, opcode: str, argument: Any) -> None:
        """The instructions that name, call and set, and the rare ones."""
        push = self.stack.append
        match opcode:
            case "GLOBAL" | "STACK_GLOBAL":
                push(named(*(self.pop(2) if opcode == "STACK_GLOBAL" else argument.split(" ", 1))))
            case "REDUCE" | "NEWOBJ":
                push(called(*self.pop(2)))
            case "NEWOBJ_EX":
                push(called(*self.pop(3)[:2]))
            case "INST":
                arguments = tuple(self.pop_marked())
                push(called(named(*argument.split(" ", 1)), arguments))
            case "OBJ":
                kind, *rest = self.pop_marked()
                push(called(kind, tuple(rest)))
            case "EXT1" | "EXT2" | "EXT4":
                push(Name(f"copyreg extension {argument}"))
            case "BUILD":
                self.set_state()
            case "BINPERSID":
                push(storage(*self.stack.pop()))
            case "POP":
                if self.marks and self.marks[-1] == len(self.stack):
                    self.marks.pop()
                else:
                    self.stack.pop()
            case "POP_MARK":
                self.pop_marked()
            case "DUP":
                push(self.stack[-1])
            case _:
                raise ValueError(f"its pickle uses the instruction {opcode}, which needs what no file holds")

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
        """Arrays take their shapes and dicts torch's `_metadata`; what is set of all other objects is dropped."""
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
