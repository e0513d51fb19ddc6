"""How Sphinx builds these pages: `.ci/run docs`."""

import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.append(str(HERE))  # docstrings, coverage_tables
sys.path.append(str(HERE.parent / "tests" / "helpers"))  # nn_samples, which coverage_tables tries

os.environ["KERAS_BACKEND"] = "torch"  # before pyrnn.keras imports Keras

project = "pyrnn"
author = "the pyrnn authors"
release = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "docstrings", "coverage_tables"]
myst_heading_anchors = 3  # links to headings, as a Git host makes them
html_theme = "furo"
html_title = f"pyrnn {release}"
html_copy_source = False
html_show_copyright = False

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_use_ivar = True  # attributes of a docstring stand beside those of the class

MODULES = ("pyrnn", "pyrnn.nn", "pyrnn.train", "pyrnn.torch", "pyrnn.torch.rl", "pyrnn.keras")
MODULES += (
    "pyrnn.io.keras",
    "pyrnn.io.onnx",
    "pyrnn.io.notebook",
    "pyrnn.io.conversion",
    "pyrnn.export",
    "pyrnn.verify",
)
OPTIONS = {
    "pyrnn": [":inherited-members: Module, tuple", ":special-members: __call__"],
    "pyrnn.nn": [":exclude-members: GRU, LSTM, RNN, Linear"],  # which the page of pyrnn has
}


# Pages that files of the repository are part of, and what such a file links to by its path.
PAGES = {"csrc/README.md": "architecture.md", "pyrnn/README.md": "architecture.md", "docs/layers.svg": "layers.svg"}
PAGES |= {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "tests/README.md": "architecture.md"}


def write_api(app: Any) -> None:
    """A page for each public module, in the folder build/, which git ignores."""
    folder = HERE / "build" / "api"
    folder.mkdir(parents=True, exist_ok=True)
    for name in MODULES:
        lines = [name, "=" * len(name), "", f".. automodule:: {name}"]
        lines += [f"   {option}" for option in OPTIONS.get(name, [])]
        (folder / f"{name}.rst").write_text("\n".join([*lines, ""]))


def link_pages(app: Any, path: Path, parent: str, content: list[str]) -> None:
    """Links of an included file to other files of the repository as links to their pages."""
    content[0] = re.sub(r"\]\((?:\.\./)?([\w./]+)", lambda link: f"]({PAGES.get(link[1], link[1])}", content[0])


def setup(app: Any) -> None:
    app.connect("builder-inited", write_api)
    app.connect("include-read", link_pages)
