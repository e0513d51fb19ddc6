"""Sound HDF5 files give h5py's bits; hostile ones are refused in a sentence, within seconds and the budget."""

from __future__ import annotations

import json
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("keras")

import h5py
import numpy as np
from hdf5_files import DAMAGED, DENSE, packed, sound
from keras_files import refused

from pyrnn.checks.budget import Budget
from pyrnn.io.keras import hdf5, load

MODEL = {"class_name": "Sequential", "config": {"layers": [DENSE]}}
KERNEL = "model_weights/out/out/kernel:0"


# -- the same arrays as HDF5's own library -----------------------------------------------------------------


def of_many_types(file: Any) -> None:
    for dtype in ("f2", "f4", "f8", ">f4", ">f8", "i1", "u1", "<i2", ">i4", "u8"):
        file[dtype] = np.arange(-3, 4).astype(dtype)
    file["empty"], file["scalar"] = np.zeros((0, 3)), np.float32(0.1)


def unwritten(file: Any) -> None:
    """Writes datasets of which some parts stay empty: HDF5 gives the fill value there."""
    file.create_dataset("plain", (3, 2), "f4")
    file.create_dataset("chunks", (30, 40), "f8", chunks=(7, 9), fillvalue=3.5)[:10, :10] = 1
    file.create_dataset("none", (30, 40), "f8", chunks=(7, 9), fillvalue=-1)


def compact(file: Any) -> None:
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_layout(h5py.h5d.COMPACT)
    made = h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((4,)), layout)
    h5py.Dataset(made)[:] = [1, 2, 3, 4]


def many(file: Any) -> None:
    """Writes more groups and attributes than one header holds."""
    for place in range(70):
        file.create_group(f"group {place}/inside")["x"] = np.arange(place)
        file.attrs[f"attribute {place}"] = np.arange(place)


SOUND: dict[str, Callable[[Any], None]] = {
    "types": of_many_types,
    "unwritten": unwritten,
    "compact": compact,
    "many": many,
    "deflate": lambda file: packed(file, compression="gzip"),
    "shuffle": lambda file: packed(file, compression="gzip", shuffle=True),
    "fletcher32": lambda file: packed(file, fletcher32=True),
    "all three": lambda file: packed(file, compression=9, shuffle=True, fletcher32=True),
    "chunks": lambda file: packed(file, chunks=True),
}


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("case", SOUND)
def test_arrays_have_the_bits_that_h5py_reads(case: str, libver: str, tmp_path: Path) -> None:
    names = [b"one", "zwei €".encode(), b""]
    with h5py.File(tmp_path / "a.h5", "w", libver=libver) as file:
        file.attrs["keras_version"], file.attrs["layer_names"] = "3.0", names
        SOUND[case](file)
    expected: dict[str, Any] = {}
    with h5py.File(tmp_path / "a.h5") as file:
        file.visititems(lambda name, one: expected.update({name: one[()]} if isinstance(one, h5py.Dataset) else {}))
        new = any(one.chunks for one in map(file.get, expected))
    if new and libver == "latest":  # the newer index of chunks is refused: Keras' files never have it
        with pytest.raises(ValueError, match="lies in chunks of the newer kind of HDF5"):
            hdf5.read(str(tmp_path / "a.h5"), Budget(0))
        return
    found = hdf5.read(str(tmp_path / "a.h5"), Budget(0))
    assert found.texts == {"keras_version": "3.0"}
    assert found.layer_names == [name.decode() for name in names]
    assert sorted(found.arrays) == sorted(expected)
    for name, array in found.arrays.items():
        assert array.dtype == expected[name].dtype
        assert array.shape == expected[name].shape
        assert array.tobytes() == expected[name].tobytes()


# -- hostile -----------------------------------------------------------------------------------------------


def replaced(file: Any, **options: Any) -> Any:
    """Puts another dataset in place of the kernel."""
    del file[KERNEL]
    return file["model_weights/out/out"].create_dataset("kernel:0", **options)


def linked(file: Any, link: Any) -> None:
    del file[KERNEL]
    file[KERNEL] = link


def configured(value: Any, name: str = "model_config") -> Callable[[Any], None]:
    """Puts another configuration, or another attribute, in place."""

    def spoil(file: Any) -> None:
        file.attrs[name] = value

    return spoil


def deep(file: Any) -> None:
    file.create_group("model_weights/" + "/".join("a" * 102))


def endless(file: Any) -> None:
    """Makes a group hold itself twice."""
    group = file["model_weights"]
    group["again"], group["and again"] = group, group


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((3, 2), "f4")
    layout[:] = h5py.VirtualSource("secret.h5", "data", (3, 2))
    del file[KERNEL]
    file["model_weights/out/out"].create_virtual_dataset("kernel:0", layout)


def committed(file: Any) -> None:
    file["type"] = np.dtype("f4")
    replaced(file, shape=(3, 2), dtype=file["type"])


def one_chunk(chunk: tuple[int, int], data: bytes, **options: Any) -> Callable[[Any], None]:
    """A function that replaces the kernel by one chunk of this shape, with these bytes in the file."""

    def spoil(file: Any) -> None:
        made = replaced(file, shape=(3, 2), dtype="f4", chunks=chunk, maxshape=(None, None), **options)
        made.id.write_direct_chunk((0, 0), data)

    return spoil


def bomb(times: int) -> bytes:
    """2^26 zeros, deflated so many times."""
    stream = zlib.compressobj(9)
    data = b"".join([stream.compress(bytes(2**20)) for _ in range(64)] + [stream.flush()])
    for _ in range(times - 1):
        data = zlib.compress(data, 9)
    return data


GZIP = {"compression": "gzip"}
HOSTILE: dict[str, tuple[Callable[[Any], None], str]] = {
    "external link": (lambda file: linked(file, h5py.ExternalLink("secret.h5", "data")), "is a link to another file"),
    "soft link": (lambda file: linked(file, h5py.SoftLink("/model_weights/out/out/bias:0")), '"kernel:0" is a link'),
    "link to itself": (lambda file: linked(file, h5py.SoftLink(f"/{KERNEL}")), '"kernel:0" is a link'),
    "external": (
        lambda file: replaced(file, shape=(3, 2), dtype="f4", external=[("secret", 0, 24)]), "lies in another file"
    ),
    "virtual": (virtual, "lies in another file"),
    "plug-in": (
        lambda file: replaced(file, data=np.ones((3, 2)), compression="lzf"),
        "is packed by lzf; deflate .gzip., shuffle and fletcher32 are undone: write it again with compression=",
    ),
    "scale": (lambda file: replaced(file, data=np.ones((3, 2), int), scaleoffset=4), "is packed by scaleoffset; "),
    "committed": (committed, "a committed datatype"),
    "vast": (lambda file: replaced(file, shape=(2**36, 2**20), dtype="f8", chunks=(1, 1)), "raise limit="),
    "vast, plain": (lambda file: replaced(file, shape=(2**20, 2**10), dtype="f8"), "raise limit="),
    "bomb": (
        lambda file: replaced(file, data=np.zeros((2**12, 2**10)), chunks=(1024, 1024), **GZIP), "raise limit="
    ),
    "vast chunk": (one_chunk((2**14, 2**14), zlib.compress(bytes(24)), **GZIP), "raise limit="),
    "many chunks": (
        lambda file: replaced(file, data=np.zeros((40, 2)), chunks=(1, 2**16), maxshape=(None, None), **GZIP),
        "raise limit=",
    ),
    "short chunk": (one_chunk((3, 2), zlib.compress(bytes(12)), **GZIP), "has a chunk of 12 bytes, where 24 are"),
    "short plain chunk": (one_chunk((3, 2), bytes(12)), "has a chunk of 12 bytes, where 24 are expected"),
    "short wide chunk": (one_chunk((3, 64), zlib.compress(bytes(12)), **GZIP), "12 bytes, where 768 are expected"),
    "long chunk": (one_chunk((3, 2), zlib.compress(bytes(28)), **GZIP), "has a chunk of 28 bytes, where 24"),
    "cut chunk": (one_chunk((3, 2), zlib.compress(bytes(24))[:-3], **GZIP), "does not unpack to its size"),
    "no deflate": (one_chunk((3, 2), b"not deflated", **GZIP), DAMAGED),
    "chunk bomb": (one_chunk((3, 2), bomb(1), **GZIP), "does not unpack to its size"),
    "shuffled bomb": (one_chunk((3, 2), bomb(2), shuffle=True, **GZIP), "does not unpack to its size"),
    "checksum": (one_chunk((3, 2), bytes(24) + b"abcd", fletcher32=True), "has a chunk whose checksum is wrong"),
    "text": (lambda file: replaced(file, data=np.array([b"abc"])), "only real numbers of IEEE are loaded"),
    "texts": (lambda file: replaced(file, data=["abc"]), "only real numbers of IEEE are loaded"),
    "complex": (lambda file: replaced(file, data=np.ones((3, 2), np.complex64)), "only real numbers of IEEE are"),
    "flags": (lambda file: replaced(file, data=np.ones((3, 2), bool)), "only real numbers of IEEE are loaded"),
    "long double": (lambda file: replaced(file, data=np.ones((3, 2), np.longdouble)), "only real numbers of IEEE"),
    "empty": (lambda file: replaced(file, data=h5py.Empty("f4")), "should have 0 to 32 axes"),
    "deep": (deep, "nested more than 100 deep"),
    "endless": (endless, "nested more than 100 deep|more than 10000 groups|again and again"),
    "long name": (lambda file: file.create_group("model_weights/" + "a" * 5000), "a name of it has more than 1000"),
    "names": (
        lambda file: file["model_weights"].attrs.__setitem__("layer_names", np.array(["x"] * 20000, "S1")),
        "claims to have 20000 strings",
    ),
    "no names": (lambda file: file["model_weights"].attrs.__setitem__("layer_names", [1, 2]), "a list of strings"),
    "config": (configured("{"), "its model_config is no sound JSON"),
    "no object": (configured("[]"), "model_config should be a JSON object"),
    "nested": (configured("[" * 30000), "its model_config is no sound JSON"),
    "numbers": (configured(7), '"model_config" should be one string'),
    "a list": (configured([b"{}"]), '"model_config" should be one string'),
    "no text": (configured(np.bytes_(b"\xff{}")), '"model_config" is no text in UTF-8'),
    "version": (configured([1.5, 2.5], "keras_version"), '"keras_version" should be one string'),
    "backend": (configured(np.bytes_(b"\xff"), "backend"), '"backend" is no text in UTF-8'),
    "subclass": (configured(json.dumps({**MODEL, "class_name": "Mine"})), "Mine"),
    "no layers": (configured('{"class_name": "Sequential"}'), "list of 1 to 1000"),
    "no layer": (configured('{"class_name": "Sequential", "config": [7]}'), "is no layer: .?7"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_in_one_sentence_within_the_budget(case: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["data"] = np.ones((3, 2), np.float32)
    path, (spoil, because) = sound(tmp_path / "model.h5"), HOSTILE[case]
    with h5py.File(path, "r+") as file:
        spoil(file)
    start = time.process_time()
    tracemalloc.start()
    with pytest.raises(ValueError, match=because) as caught:
        load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(caught.value).startswith(f"{path} cannot be loaded: ")
    assert len(str(caught.value)) < len(str(path)) + 700
    assert peak < Budget(path.stat().st_size).total + 2**20
    assert time.process_time() - start < 5


def test_a_larger_limit_lets_more_be_read(tmp_path: Path) -> None:
    path = sound(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        one_chunk((2**10, 2**13), zlib.compress(np.ones((2**10, 2**13), "f4")), **GZIP)(file)
    refused(path, "raise limit=")
    np.testing.assert_array_equal(load(path, limit=2**26)(np.ones((1, 3), np.float32)), [[4, 4]])
