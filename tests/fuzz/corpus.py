"""The fuzzer's first files: the models that the tests load and those they see refused, as far as they are small.

PYTHONPATH=tests python -P tests/fuzz/corpus.py FOLDER
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from capi_refusals import REFUSED
from test_capi import MODELS, saved

LARGEST = 1 << 16  # bytes: a fuzzer learns nothing from large arrays of weights


def main(folder: Path) -> None:
    """Writes model-0 and on, and refused-0 and on."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.safetensors"
        names = [f"model-{i}" for i in range(len(MODELS))] + [f"refused-{i}" for i in range(len(REFUSED))]
        writers = [lambda _, name=name: saved(name, Path(scratch)) for name in MODELS]
        for name, write in zip(names, [*writers, *(write for write, _ in REFUSED.values())], strict=True):
            write(path)
            if path.stat().st_size <= LARGEST:
                (folder / name).write_bytes(path.read_bytes())
            path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
