"""Mutates a protobuf message by its wire format alone, and keeps all lengths right."""

from __future__ import annotations

from random import Random
from typing import Any

from mutations import EXTREMES, LARGEST, WORDS, blind

Field = tuple[int, int, Any]  # its number, its wire type, and a number, bytes, or the fields of a message


def read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        value, place = value | (byte & 127) << shift, place + 1
        if byte < 128:
            return value, place
    raise ValueError("no varint")


def varint(value: int) -> bytes:
    value %= 2**64
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def fields(data: bytes, depth: int = 0) -> list[Field]:
    """The fields of a message, or ValueError; bytes that parse as a message are read as one."""
    found: list[Field] = []
    place = 0
    try:
        while place < len(data):
            tag, place = read_varint(data, place)
            number, kind = tag >> 3, tag & 7
            value: Any
            if kind == 0:
                value, place = read_varint(data, place)
            else:
                size, place = read_varint(data, place) if kind == 2 else ({1: 8, 5: 4}[kind], place)
                value, place = data[place : place + size], place + size
            if number == 0 or place > len(data):
                raise ValueError("no message")
            found.append((number, kind, value))
    except (IndexError, KeyError) as error:
        raise ValueError("no message") from error
    return [(number, kind, _inner(value, depth) if kind == 2 else value) for number, kind, value in found]


def _inner(data: bytes, depth: int) -> Any:
    if not data or depth > 12 or (data.isascii() and data.decode().isprintable()):
        return data
    try:
        return fields(data, depth + 1)
    except ValueError:
        return data


def encoded(message: list[Field]) -> bytes:
    """The bytes of a message, with right lengths."""
    parts = []
    for number, kind, value in message:
        content = encoded(value) if isinstance(value, list) else varint(value) if kind == 0 else value
        parts.append(varint(number << 3 | kind) + (varint(len(content)) if kind == 2 else b"") + content)
    return b"".join(parts)


def changed_protobuf(data: bytes, random: Random) -> bytes:
    """Drops, doubles, moves or renumbers fields, and makes numbers and texts extreme."""
    try:
        whole = fields(data)
    except ValueError:
        return blind(data, random)
    for _ in range(random.choice([1, 1, 2, 4])):
        lists = [whole]
        for message in lists:  # the list grows in the loop
            lists += [value for _, _, value in message if isinstance(value, list)]
        filled = [message for message in lists if message]
        if not filled:
            break
        message, other = random.choice(filled), random.choice(filled)
        place = random.randrange(len(message))
        number, kind, value = message[place]
        what = random.randrange(7)
        if what == 0:
            del message[place]
        elif what == 1:
            message.insert(place, (number, kind, _copy(value)))
        elif what == 2:
            other.append((number, kind, _copy(value)))
        elif what == 3:
            message[place] = (random.randrange(1, 21), kind, value)
        else:
            message[place] = (number, kind, _odd_field(kind, value, random))
    return encoded(whole)[:LARGEST]


def _copy(value: Any) -> Any:
    return fields(encoded(value)) if isinstance(value, list) else value


def _odd_field(kind: int, value: Any, random: Random) -> Any:
    if kind == 0:
        return random.choice([*EXTREMES, value + 1, value * 2, value + 256])
    if isinstance(value, list):
        return _copy(value)[::-1]
    if kind == 2 and random.random() < 0.5:
        words = [word.encode("utf-8", "surrogatepass") for word in WORDS]
        return random.choice([*words, varint(random.choice(EXTREMES))])
    changed = blind(value, random)
    return changed if kind == 2 else changed[: len(value)].ljust(len(value), b"\0")  # others have a fixed size
