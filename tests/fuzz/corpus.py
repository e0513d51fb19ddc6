"""The fuzzer's first files: the models that the tests load and those they see refused, as far as they are small.

PYTHONPATH=tests python -P tests/fuzz/corpus.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from capi_refusals import REFUSED
from test_capi import MODELS, saved

LARGEST = 1 << 16  # bytes: a fuzzer learns nothing from large arrays of weights


def main(folder: Path) -> None:
    """Writes model.0 and on, and refused.0 and on."""
    (folder / "new").mkdir()
    for i, name in enumerate(MODELS):
        saved(name, folder / "new")[1].rename(folder / f"model.{i}")
    for i, (write, _) in enumerate(REFUSED.values()):
        write(folder / f"refused.{i}")
    (folder / "new").rmdir()
    for path in [*folder.glob("model.*"), *folder.glob("refused.*")]:
        if path.stat().st_size > LARGEST:
            path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
