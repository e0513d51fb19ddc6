"""Checks that a picture can be written, before the work whose results it shows."""

from __future__ import annotations

import os
from pathlib import Path


def check_picture(path: Path) -> None:
    """Raises unless matplotlib can write a picture to this path.

    Args:
        path: the file to write; its suffix chooses the format.

    Raises:
        OSError: if the folder does not exist, or the file cannot be written.
        ValueError: if matplotlib does not know the suffix.
        ImportError: if matplotlib is not installed.

    >>> check_picture(Path("ratios.doc"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: ratios.doc does not end as a picture that matplotlib can write: ...
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('drawing needs matplotlib: pip install "pyrnn-cpu[plot]"') from error
    endings = Figure().canvas.get_supported_filetypes()
    if path.suffix[1:] not in endings:
        known = ", ".join(f".{ending}" for ending in endings)
        raise ValueError(f"{path} does not end as a picture that matplotlib can write: {known}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} is not a folder; make it, or choose another with --plot.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise PermissionError(f"{path} cannot be written to; choose another file with --plot.")
