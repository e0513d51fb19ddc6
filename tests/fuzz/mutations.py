"""Mutations of files: blind ones of any bytes, and others that parse a zip, a pickle, JSON, .npy or .safetensors.

A mutation is deterministic: it draws everything from its argument, a random.Random.
"""

from __future__ import annotations

import io
import json
import pickletools
import struct
import zipfile
import zlib
from random import Random
from typing import Any

EXTREMES = [0, 1, -1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1]
WORDS = ["", "a" * 1000, "\ud800", "\0", "../x", "é" * 50, "NaN", "float32", "__proto__", "weight_ih_l99999999", "-1"]
LARGEST = 1 << 20  # bytes of an input


# -- bytes -------------------------------------------------------------------------------------------------


def extreme_number(data: bytearray, random: Random) -> None:
    """Writes an extreme integer of 1, 2, 4 or 8 bytes over what is there, in either byte order."""
    width, order = random.choice([1, 2, 4, 4, 8, 8]), random.choice(["little", "little", "big"])
    start = random.randrange(len(data))
    number = random.choice(EXTREMES) + random.choice([0, 0, 0, -1, 1])
    data[start : start + width] = (number % 2 ** (8 * width)).to_bytes(width, order)


def changed_byte(data: bytearray, random: Random) -> None:
    place = random.randrange(len(data))
    data[place] = random.choice([0, 255, data[place] ^ 1 << random.randrange(8), random.randrange(256)])


def zeroed(data: bytearray, random: Random) -> None:
    start, count = random.randrange(len(data)), random.choice([1, 2, 2, 4, 8, 64])
    data[start : start + count] = bytes(min(count, len(data) - start))


def grown_number(data: bytearray, random: Random) -> None:
    """Multiplies a byte, which may be a length, or adds one to it."""
    place = random.randrange(len(data))
    data[place] = (data[place] * random.choice([2, 16, 255]) + random.choice([-1, 0, 1])) % 256


def inserted(data: bytearray, random: Random) -> None:
    place = random.randrange(len(data))
    data[place:place] = random.randbytes(random.choice([1, 2, 8, 100]))


def deleted(data: bytearray, random: Random) -> None:
    start = random.randrange(len(data))
    del data[start : start + random.choice([1, 2, 8, 100])]


def cut_short(data: bytearray, random: Random) -> None:
    del data[random.randrange(len(data)) :]


def copied(data: bytearray, random: Random) -> None:
    """Copies a piece to another place, over the bytes there or between them."""
    start, count = random.randrange(len(data)), random.choice([2, 8, 32, 512])
    piece, place = data[start : start + count], random.randrange(len(data))
    data[place : place + random.choice([0, len(piece)])] = piece


BLIND = [changed_byte, changed_byte, zeroed, extreme_number, extreme_number, grown_number, inserted, deleted, copied]


def blind(data: bytes, random: Random) -> bytes:
    """Applies one to six mutations of bytes, at times a cut."""
    changed = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 3, 6])):
        if changed:
            random.choice([*BLIND * 4, cut_short])(changed, random)
    return bytes(changed[:LARGEST])


# -- JSON --------------------------------------------------------------------------------------------------


def odd_value(random: Random) -> Any:
    nested: Any = []
    for _ in range(random.choice([1, 20, 200])):
        nested = [nested]
    number = random.choice(EXTREMES) * random.choice([1, -1])
    some = [None, True, {}, [], nested, 1e400, float("nan"), 10**400, [number] * random.choice([1, 3, 9])]
    return random.choice([*some, number, number, number, random.choice(WORDS), random.choice(WORDS)])


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every list and dict inside a value, with each of its keys."""
    found, left = [], [value]
    while left:
        one = left.pop()
        inner = one.items() if isinstance(one, dict) else enumerate(one) if isinstance(one, list) else ()
        for key, part in inner:
            found.append((one, key))
            left.append(part)
    return found


def changed_json(text: bytes, random: Random) -> bytes:
    """Replaces, drops, doubles, moves or renames values; mutates blindly if the text is no JSON."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return blind(text, random)
    for _ in range(random.choice([1, 1, 2, 4])):
        every = places(value)
        if not every:
            return json.dumps(odd_value(random)).encode()
        (inside, key), (other, other_key) = random.choice(every), random.choice(every)
        what = random.randrange(6)
        if what == 0:
            del inside[key]
        elif what == 1 and isinstance(inside, list):
            inside.insert(key, inside[key])
        elif what == 1:
            inside[random.choice([*WORDS, str(other_key)])] = inside[key]
        elif what == 2:
            inside[key] = json.loads(json.dumps(other[other_key]))  # a copy, so that no value holds itself
        else:
            inside[key] = odd_value(random)
    if random.random() < 0.02:
        return b"[" * 10 ** random.randrange(2, 6)
    return json.dumps(value).encode("utf-8", "surrogatepass")[:LARGEST]


# -- pickle ------------------------------------------------------------------------------------------------

OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]
ARGUMENTS = [b"", b"\0", b"\xff", b"\xff\xff\xff\x7f", b"\xff" * 8, b"0\n", b"os\nsystem\n", b"torch\nFloatStorage\n"]


def changed_pickle(data: bytes, random: Random) -> bytes:
    """Drops, doubles, exchanges, moves or inserts operations, and changes their arguments."""
    try:
        starts = [place for _, _, place in pickletools.genops(data) if place is not None]
    except Exception:  # pickletools raises errors of many kinds for a damaged pickle
        return blind(data, random)
    operations = [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]
    for _ in range(random.choice([1, 1, 2, 4])):
        place, other = random.randrange(len(operations)), random.randrange(len(operations))
        what = random.randrange(6)
        if what == 0 and len(operations) > 1:
            del operations[place]
        elif what == 1:
            operations.insert(other, operations[place])
        elif what == 2:
            operations[place], operations[other] = operations[other], operations[place]
        elif what == 3:
            operations.insert(place, random.choice(OPCODES) + random.choice(ARGUMENTS))
        elif what == 4:
            operations[place] = operations[other]
        else:
            operations[place] = operations[place][:1] + blind(operations[place][1:], random)
    return b"".join(operations)[:LARGEST]


# -- zip ---------------------------------------------------------------------------------------------------


def changed_record(name: str, data: bytes, random: Random) -> bytes:
    """Mutates a record of a zip in the way of its format, which the name tells."""
    if name.endswith(".json"):
        return changed_json(data, random)
    if name.endswith(".pkl"):
        return random.choice([changed_pickle, changed_pickle, blind])(data, random)
    if name.endswith(".npy"):
        return changed_npy(data, random)
    return blind(data, random)


def changed_zip(data: bytes, random: Random) -> bytes:
    """Changes, drops, renames or inflates a record, and keeps the checksums right."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            records = [(entry, archive.read(entry)) for entry in archive.infolist()]
    except (zipfile.BadZipFile, ValueError, NotImplementedError, zlib.error):
        return blind(data, random)
    described = [entry.filename for entry, _ in records if entry.filename.endswith((".json", ".pkl"))]
    chosen = random.choice(described if described and random.random() < 0.7 else [e.filename for e, _ in records])
    odd = random.choice([0, 1, 2, *range(3, 30)])
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for entry, content in records:
            name, method = entry.filename, entry.compress_type
            if name == chosen and odd == 0:
                continue
            if name == chosen and odd == 1:
                name = random.choice(["x", "data/0", "a/data.pkl", "weight_ih_l123456.npy", "a" * 500, "config.json"])
            if name == chosen and odd == 2:
                content, method = content + bytes(1 << random.randrange(16, 25)), zipfile.ZIP_DEFLATED
            if name == chosen and odd > 2:
                content = changed_record(name, content, random)
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return target.getvalue()


# -- the heads of .npy and .safetensors ---------------------------------------------------------------------


def changed_npy(data: bytes, random: Random) -> bytes:
    """Puts another shape or dtype into the header's text, and keeps its length right."""
    if not data.startswith(b"\x93NUMPY\x01\x00") or random.random() < 0.3:
        return blind(data, random)
    end = 10 + int.from_bytes(data[8:10], "little")
    odd = random.choice([str(random.choice(EXTREMES)), "True", "None", "(1,)", "-1", "1.5", "'O'", "(" * 200, "x"])
    text = data[10:end].decode("latin-1")
    parts = [part for part in ("(", ",", "'<f4'", "'<f8'", "False", "'shape'", ")") if part in text]
    place = text.find(random.choice(parts)) if parts else 0
    text = text[:place] + odd + text[place + random.choice([0, 1, 4]) :]
    header = text.encode("latin-1")
    return data[:8] + struct.pack("<H", len(header) & 0xFFFF) + header + data[end:]


def changed_safetensors(data: bytes, random: Random) -> bytes:
    """Changes the header's JSON, or the JSON inside its metadata, and keeps its length right."""
    size = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + size]
    try:
        tree = json.loads(header)
    except ValueError:
        return blind(data, random)
    metadata = tree.get("__metadata__") if isinstance(tree, dict) else None
    if isinstance(metadata, dict) and metadata and random.random() < 0.6:
        key = random.choice(sorted(metadata))
        metadata[key] = changed_json(str(metadata[key]).encode(), random).decode("utf-8", "replace")
        header = json.dumps(tree).encode()
    else:
        header = changed_json(header, random)
    return len(header).to_bytes(8, "little") + header + data[8 + size :]
