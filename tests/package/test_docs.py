"""README.md and the pages of docs/: their Python runs, their links lead somewhere, the picture shows the maps."""

from __future__ import annotations

import re
from pathlib import Path

import layer_picture
import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
PYTHON = re.compile(r"^```python\n(.*?)^```", re.M | re.S)

# A page needs the package at the left, beside NumPy, if its Python has the pattern at the right.
NEEDS = {"torch": r"\btorch\b", "safetensors": r"\.safetensors", "matplotlib": r"\.plot\("}


def pages_with_python() -> list[object]:
    found = {path: "\n".join(PYTHON.findall(path.read_text())) for path in PAGES}
    return [
        pytest.param(path, id=path.name, marks=[getattr(pytest.mark, n) for n in NEEDS if re.search(NEEDS[n], python)])
        for path, python in found.items()
        if python
    ]


@pytest.mark.parametrize("path", pages_with_python())
def test_the_python_of_a_page_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = path.read_text()
    names = {"__name__": "page"}  # later blocks go on with what earlier ones made
    for block in PYTHON.finditer(text):
        line = text.count("\n", 0, block.start(1))
        exec(compile("\n" * line + block[1], str(path), "exec"), names)


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name)
def test_links_of_a_page_lead_to_files(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    links = [link for link in links if not link.startswith("build/")]  # the reference, which Sphinx makes
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_the_readme_fits_two_screens() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 110


def test_the_picture_of_the_layers_is_that_of_the_maps() -> None:
    assert layer_picture.PICTURE.read_text() == layer_picture.picture(), "python docs/layer_picture.py draws it anew"
