"""Turns an ImportError of a command into a sentence that says what to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def naming_the_extra(command: str, extra: str | None = None, program: str = "pyrnn") -> Iterator[None]:
    """Turns an ImportError inside the block into one that names the extra, by default the command's name."""
    try:
        yield
    except ImportError as error:
        if "pip install" in str(error):  # The message names the extra already.
            raise
        message = f'{program} {command} needs {error.name or error}: pip install "pyrnn-cpu[{extra or command}]"'
        raise ImportError(message) from error
