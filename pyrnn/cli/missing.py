"""What a command says when a package is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def naming_the_extra(command: str, extra: str | None = None, program: str = "pyrnn") -> Iterator[None]:
    """Inside the block, an ImportError becomes one that names the extra, by default that of the command's name."""
    try:
        yield
    except ImportError as error:
        if "pip install" in str(error):  # said where it is known better
            raise
        message = f'{program} {command} needs {error.name or error}: pip install "pyrnn-cpu[{extra or command}]"'
        raise ImportError(message) from error
