"""Defines the commands `pyrnn accuracy` and `pyrnn config`, which describe pyrnn on this machine."""

from __future__ import annotations

from .missing import naming_the_extra


def accuracy() -> None:
    """Print the errors of pyrnn and torch, measured against float64."""
    with naming_the_extra("accuracy", "torch"):
        from pyrnn.verify.accuracy import run

        run()


def config() -> None:
    """Print the instruction set, threads and versions, for bug reports."""
    from pyrnn.core.config import show_config

    show_config()
