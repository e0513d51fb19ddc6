"""Writes the fuzzer's first files: the small ones of the models that the tests load or see refused.

PYTHONPATH=tests/helpers python -P tests/fuzz/corpus.py FOLDER
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from capi_models import AHEAD, ALONE, INDEXED, MODELS, saved
from capi_refusals import REFUSED

LARGEST = 1 << 16  # bytes: a fuzzer learns nothing from large arrays of weights


def main(folder: Path) -> None:
    """Writes the files 000, 001 and so on."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.safetensors"
        models = [lambda _, name=name: saved(name, Path(scratch)) for name in MODELS | INDEXED | AHEAD]
        models += [make().save for make in ALONE.values()]
        for i, write in enumerate([*models, *(write for write, _ in REFUSED.values())]):
            write(path)
            if path.stat().st_size <= LARGEST:
                (folder / f"{i:03}").write_bytes(path.read_bytes())
            path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
