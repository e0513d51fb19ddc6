"""`pyrnn accuracy` and `pyrnn config`: what pyrnn is on this machine."""

from __future__ import annotations

from .missing import naming_the_extra


def accuracy() -> None:
    """Print how far pyrnn and torch are from float64."""
    with naming_the_extra("accuracy", "torch"):
        from pyrnn.verify.accuracy import run

        run()


def config() -> None:
    """Print what was built, for bug reports."""
    from pyrnn.core.config import show_config

    show_config()
