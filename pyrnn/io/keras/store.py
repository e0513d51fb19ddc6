"""Finds the arrays of a layer under either of the two ways in which Keras names them."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Self

from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import listed, quoted

ROOTS = ("layers", "_layer_checkpoint_dependencies")  # Keras 3 writes the first, Keras 2.12 the second.
RUNTIME = re.compile(r"rnn_state|seed_generator_state")  # A stateful layer keeps the one, a dropout the other.


class Store:
    """Holds the arrays of a file by layer and part.

    Args:
        arrays: the arrays by their path in the file.
        layers: (class name, name) of every layer, in the model's order.
        folders: the group of each layer in Keras 2's layout, if it is not the layer's name.
    """

    def __init__(
        self, arrays: dict[str, Array], layers: Sequence[tuple[str, str]], folders: Sequence[str] | None = None
    ) -> None:
        self._arrays, self._taken, self._paths = arrays, set[str](), sorted(arrays)
        root = _root(arrays)
        self._is_numbered = root is not None
        if root is None:
            groups = list(folders or (name for _, name in layers))
        else:
            groups = [f"{root}/{group}" for group in _numbered_groups([kind for kind, _ in layers])]
        self._groups = dict(zip((name for _, name in layers), groups, strict=True))

    @classmethod
    def of_weights(
        cls, arrays: dict[str, Array], layers: Sequence[tuple[str, str]], layer_names: Sequence[str] | None
    ) -> Self:
        """Makes the store of a file of weights alone for a given model; the layers are matched by their order.

        Raises:
            ValueError: if the file has another number of layers with weights, or does not tell their order.
        """
        root = _root(arrays)
        if root is not None:
            return cls(arrays, [(_class_of_linear(arrays, root) if k == "Dense" else k, name) for k, name in layers])
        if layer_names is None:
            raise ValueError("it is no file of Keras: it has neither numbered arrays nor an attribute layer_names")
        paths = sorted(arrays)
        folders = [folder for folder in layer_names if _below(paths, f"{folder}/")]
        if len(folders) != len(layers):
            raise ValueError(
                f"it has {len(folders)} layers with weights ({listed(folders)}), the model has {len(layers)}"
            )
        return cls(arrays, layers, folders)

    def take(self, name: str, part: str, names: Sequence[str]) -> dict[str, Array]:
        """Takes the arrays `names`, in Keras' order, of one part of a layer.

        Args:
            name: the name of the layer.
            part: "", "cell", "layer", "forward_layer" or "backward_layer"; the last two may end in "/cell".
            names: the arrays that the layer's configuration requires.

        Raises:
            ValueError: if an array is missing, or the file has others.
        """
        paths = self._numbered(name, part, names) if self._is_numbered else self._named(name, part)
        if set(paths) != set(names):
            raise ValueError(
                f"layer {quoted(name)}: expected the arrays {', '.join(names) or '(none)'}, the file has "
                f"{listed(sorted(paths)) or 'none'}"
            )
        self._taken.update(paths.values())
        return {key: self._arrays[path] for key, path in paths.items()}

    def left(self) -> list[str]:
        """Lists the paths of the arrays that no layer has taken."""
        paths = sorted(set(self._arrays) - self._taken)
        return [path for path in paths if not RUNTIME.search(path) and "seed_generator" not in path]

    def _numbered(self, name: str, part: str, names: Sequence[str]) -> dict[str, str]:
        """Finds arrays by Keras 3's names, layers/<class>_<n>/<part>/vars/<i>, numbered as they were made."""
        group = self._groups[name]
        if group.rpartition("/")[2].startswith("time_distributed"):
            part = "layer"
        folder = "/".join(filter(None, (group, part, "vars"))) + "/"
        keys = [path.removeprefix(folder) for path in _below(self._paths, folder)]
        if set(keys) != set(map(str, range(len(keys)))):
            raise ValueError(f"layer {quoted(name)}: its arrays should be numbered, got {listed(keys)}")
        labels = [*names, *(f"number {i}" for i in range(len(names), len(keys)))]
        return {labels[i]: f"{folder}{i}" for i in range(len(keys))}

    def _named(self, name: str, part: str) -> dict[str, str]:
        """Finds arrays by the names of Keras 2, and of HDF5 files of Keras 3: <layer>/.../<name>:0."""
        found: dict[str, str] = {}
        group = f"{self._groups[name]}/"
        side = part.partition("_")[0] if part.startswith(("forward", "backward")) else None
        for path in _below(self._paths, group):
            folders, _, leaf = path.removeprefix(group).rpartition("/")
            leaf = re.sub(r":\d+$", "", leaf)
            other = side is not None and side != _side(folders)
            if RUNTIME.fullmatch(leaf) or other:
                continue
            if leaf in found:
                raise ValueError(f"layer {quoted(name)}: the file has more than one array {quoted(leaf)} for it")
            found[leaf] = path
        return found


def _below(paths: Sequence[str], folder: str) -> Sequence[str]:
    """Selects those of the sorted paths that begin with a folder, which ends in "/"; "0" is the character after it."""
    return paths[bisect_left(paths, folder) : bisect_left(paths, f"{folder[:-1]}0")]


def _root(arrays: dict[str, Array]) -> str | None:
    """Returns the group of the layers if the file has Keras 3's layout, else None."""
    return next((root for root in ROOTS if any(re.fullmatch(rf"{root}/.*vars/\d+", path) for path in arrays)), None)


def _numbered_groups(kinds: Sequence[str]) -> list[str]:
    """Names the groups lstm, lstm_1, dense, lstm_2, ...: each class is counted on its own."""
    seen: Counter[str] = Counter()
    groups = []
    for kind in map(snake, kinds):
        groups.append(f"{kind}_{seen[kind]}" if seen[kind] else kind)
        seen[kind] += 1
    return groups


def _class_of_linear(arrays: dict[str, Array], root: str) -> str:
    """Tells whether the file has Dense or TimeDistributed layers; a Linear can come from either."""
    plain, timed = (
        any(path.startswith(f"{root}/{kind}") for path in arrays) for kind in ("dense", "time_distributed")
    )
    if plain and timed:
        raise ValueError(
            "it has Dense and TimeDistributed layers, and does not tell their order: save the full model (.keras)"
        )
    return "TimeDistributed" if timed else "Dense"


def _side(folders: str) -> str:
    """Returns the direction that a path belongs to; a backward layer with a name of its own does not tell."""
    for folder in reversed(folders.split("/")):
        if folder.startswith(("forward_", "backward_")):
            return folder.partition("_")[0]
    return "backward"


def snake(kind: str) -> str:
    """Turns LSTM into lstm, SimpleRNN into simple_rnn and Conv1D into conv1d, by Keras' own rule."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
