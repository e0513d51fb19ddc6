"""Puts parameters together that torch keeps in parts: weight norm, spectral norm, pruning, weight drop.

Below, W is the weight, and norm(.) is the norm per row or column.

    weight_norm    W = g v / norm(v)         parametrizations.NAME.original0, .original1, or NAME_g, NAME_v
    spectral_norm  W = W' / (u' W' v)        parametrizations.NAME.original, .0._u, .0._v, or NAME_orig, NAME_u, NAME_v
    pruning        W = W' m                  NAME_orig, NAME_mask
    weight drop    W = W' outside training   NAME_raw

Source: https://docs.pytorch.org/docs/stable/nn.html#utilities
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pyrnn.checks.quoting import listed, quoted

Array = np.ndarray[Any, np.dtype[Any]]

_NAME = r"[^.]+"  # A module may parametrize a parameter of any name.
_OWN = r"(?:weight_(?:ih|hh|hr|peephole)|bias_(?:ih|hh))(?:_l[0-9]+)?(?:_reverse)?"
_PARAMETRIZED = rf"(?s)(?P<before>(?:.*\.)?)parametrizations\.(?P<name>{_NAME})\.(?P<part>.+)"
_SUFFIXED = rf"(?s)(?P<before>(?:.*\.)?)(?P<name>{_OWN})(?P<part>_(?:g|v|u|orig|mask|raw))"


def parameter_of(name: str) -> str:
    """Returns the parameter of a recurrent layer that a name is a part of, or else the name itself.

    >>> parameter_of("rnn.parametrizations.weight_hh_l0.original0"), parameter_of("rnn.weight_hh_l0_raw")
    ('rnn.weight_hh_l0', 'rnn.weight_hh_l0')
    """
    found = re.fullmatch(_PARAMETRIZED, name) or re.fullmatch(_SUFFIXED, name)
    return found["before"] + found["name"] if found else name


def put_together(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Computes each parameter that is stored in parts; the one array stands at the place of its first part.

    Raises:
        ValueError: if the parts do not tell how the parameter is computed; the message names them.
    """
    parts: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        if (parameter := parameter_of(name)) != name:
            parts.setdefault(parameter, {})[name] = array
    found: dict[str, Array] = {}
    for name, array in arrays.items():
        parameter = parameter_of(name)
        if parameter in parts:
            if parameter not in found:
                found[parameter] = _whole(parameter, parts[parameter], arrays.get(parameter))
        else:
            found[name] = array
    return found


def _whole(parameter: str, parts: dict[str, Array], plain: Array | None) -> Array:
    by_role: dict[str, Array] = {}
    for name, array in parts.items():
        found = re.fullmatch(_PARAMETRIZED, name) or re.fullmatch(_SUFFIXED, name)
        by_role[found["part"] if found else name] = array
    formula = _FORMULAS.get(frozenset(by_role))
    with np.errstate(all="ignore"):  # A norm of zero gives NaN, as in torch.
        whole = None if formula is None else formula(*(by_role[role] for role in sorted(by_role)))
    if whole is None:
        raise ValueError(
            f"{quoted(parameter)} is parametrized, and {listed(parts)} do not say how it is computed from them; where "
            "it was written, torch.nn.utils.parametrize.remove_parametrizations(module, name) makes it one array "
            "(torch.nn.utils.prune.remove for a pruned one)"
        )
    kind = (
        np.float64 if whole.dtype == np.float64 and all(v.dtype == np.float64 for v in parts.values()) else np.float32
    )
    whole = whole.astype(kind)
    if plain is not None and not np.array_equal(plain, whole, equal_nan=True):
        raise ValueError(
            f"{quoted(parameter)} and what {listed(parts)} make of it differ; remove the names that do not count"
        )
    return whole


def _weight_norm(g: Array, v: Array) -> Array | None:
    """Takes the norm over the axes where g has length 1, or over all axes if g has none."""
    g, v = g.astype(np.float64), v.astype(np.float64)
    if g.ndim not in (0, v.ndim) or any(n not in (1, m) for n, m in zip(g.shape, v.shape, strict=False)):
        return None
    if sum(length > 1 for length in g.shape) > 1:
        return None  # torch's g has more than one element along at most one axis.
    over = tuple(axis for axis in range(v.ndim) if g.ndim == 0 or g.shape[axis] != v.shape[axis])
    whole: Array = g * (v / np.sqrt((v * v).sum(axis=over, keepdims=True)))
    return whole


def _spectral_norm(u: Array, v: Array, weight: Array) -> Array | None:
    u, v, weight = (value.astype(np.float64) for value in (u, v, weight))
    if weight.ndim != 2 or u.ndim != 1 or v.ndim != 1:
        return None
    by_row = u @ weight @ v if weight.shape == (len(u), len(v)) else None
    by_column = v @ weight @ u if weight.shape == (len(v), len(u)) else None
    if by_row is not None and by_column is not None:
        # A square weight does not tell whether u belongs to its rows (dim=0) or to its columns. u and v belong to the
        # largest singular value, so the right choice gives the larger product. torch takes dim=0 for recurrent layers,
        # and only that is accepted.
        return weight / by_row if by_row > abs(by_column) else None
    sigma = by_row if by_row is not None else by_column
    return None if sigma is None else weight / sigma


def _pruned(mask: Array, weight: Array) -> Array | None:
    return weight.astype(np.float64) * mask if mask.shape == weight.shape else None


# This maps the roles of the parts to their formula, which takes the parts in the alphabetic order of the roles.
_FORMULAS: dict[frozenset[str], Callable[..., Array | None]] = {
    frozenset({"original0", "original1"}): _weight_norm,
    frozenset({"_g", "_v"}): _weight_norm,
    frozenset({"0._u", "0._v", "original"}): _spectral_norm,
    frozenset({"_orig", "_u", "_v"}): lambda weight, u, v: _spectral_norm(u, v, weight),
    frozenset({"_mask", "_orig"}): _pruned,
    frozenset({"_raw"}): lambda weight: weight.astype(np.float64),
}
