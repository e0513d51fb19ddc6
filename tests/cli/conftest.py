"""Fixtures of the tests of the command line."""

from __future__ import annotations

import pytest


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets rich draw tables 200 columns wide, so that no cell wraps."""
    monkeypatch.setenv("COLUMNS", "200")
