"""JAX runs a jitted lax.scan and its reverse mode, with W_ih x as one product before the scan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from pyrnn.checks.arrays import Array

from ..case import Case
from ..measure import Contestant

State = tuple[Any, ...]


@contextmanager
def started(task: str, threads: int) -> Iterator[Any]:
    """The maker of contestants. XLA starts a thread for each CPU of the process, which has `threads` of them."""
    yield contestant


def contestant(case: Case, weights: Mapping[str, Array]) -> Contestant:
    """A training step: output, final state, and the gradients of input, state and weights."""
    x, dy = map(jnp.asarray, case.draw())
    state = tuple(map(jnp.asarray, case.state()))
    parameters = tuple(jnp.asarray(weights[f"{name}_l0"]) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    cell = CELLS[case.cell]

    def forward(x: Any, state: State, parameters: State) -> tuple[Any, State]:
        w_ih, w_hh, b_ih, b_hh = parameters
        first = tuple(part[0] for part in state)
        last, y = jax.lax.scan(cell(w_hh, b_hh), first, x @ w_ih.T + b_ih)
        return y, tuple(part[None] for part in last)

    @jax.jit
    def step(x: Any, state: State, parameters: State, dy: Any) -> Any:
        y, pullback, last = jax.vjp(forward, x, state, parameters, has_aux=True)
        return y, last, pullback(dy)

    return Contestant(
        lambda: jax.block_until_ready(step(x, state, parameters, dy)),  # type: ignore[no-untyped-call]
        lambda result: [np.asarray(leaf) for leaf in jax.tree.leaves(result)],
    )


def lstm(w_hh: Any, b_hh: Any) -> Callable[[State, Any], tuple[State, Any]]:
    """A step of torch's LSTM, whose gates are i f g o."""

    def step(state: State, a: Any) -> tuple[State, Any]:
        h, c = state
        i, f, g, o = jnp.split(a + h @ w_hh.T + b_hh, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    return step


def gru(w_hh: Any, b_hh: Any) -> Callable[[State, Any], tuple[State, Any]]:
    """A step of torch's GRU, whose gates are r z n."""

    def step(state: State, a: Any) -> tuple[State, Any]:
        (h,) = state
        (ar, az, an), (hr, hz, hn) = jnp.split(a, 3, axis=-1), jnp.split(h @ w_hh.T + b_hh, 3, axis=-1)
        z = jax.nn.sigmoid(az + hz)
        h = (1 - z) * jnp.tanh(an + jax.nn.sigmoid(ar + hr) * hn) + z * h
        return (h,), h

    return step


def rnn(w_hh: Any, b_hh: Any) -> Callable[[State, Any], tuple[State, Any]]:
    """A step of torch's RNN with tanh."""

    def step(state: State, a: Any) -> tuple[State, Any]:
        h = jnp.tanh(a + state[0] @ w_hh.T + b_hh)
        return (h,), h

    return step


CELLS = {"LSTM": lstm, "GRU": gru, "RNN": rnn}
