"""Calls with options, drawn by hypothesis; the layers and the plain loop are called from the same description."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import cases
import numpy as np
import plain
from cases import Array, Config
from hypothesis import strategies as st

CELLS = ("rnn_tanh", "rnn_relu", "lstm", "lstm_proj", "gru", "gru_reset_before")

# The tolerance of a directional derivative is a fraction of the sum of the magnitudes of its terms. Rounding errs by
# some 1e-15 of it, and the loop's own derivative is exact (plain.py), so an error of 1e-9 in the largest of a thousand
# terms shows.
GRADIENT = 1e-12


@dataclass(frozen=True)
class Call:
    """A call whose arrays are all time first and batched; the config says in which layout the layer gets them."""

    config: Config
    x: Array
    states: tuple[Array, ...]
    loss: dict[str, Any]  # weights of a linear loss on output, state (a tuple) and cell states
    options: dict[str, Any] = field(default_factory=dict)
    chosen: dict[str, Any] = field(default_factory=dict)  # arguments of the constructor
    weights_seed: int = 1

    @classmethod
    def draw(cls, config: Config, seed: int = 0, **more: Any) -> Call:
        rng, c = np.random.default_rng(seed), replace(config, batched=True, batch_first=False)
        dcells = rng.standard_normal((c.T, c.B, (1 + c.bidirectional) * c.H)).astype(c.dtype)
        loss = {"output": c.draw_output_gradient(rng), "state": c.draw_states(rng), "cell_states": dcells}
        if c.equations != "lstm":
            del loss["cell_states"]
        return cls(config, c.draw_input(rng), c.draw_states(rng) if c.given else (), loss, **more)

    def layer(self, **more: Any) -> Any:
        return self.config.pyrnn_layer(seed=self.weights_seed, **self.chosen, **more)

    # -- as the layer takes and gives it ----------------------------------------------------------------

    def sequence(self, a: Array) -> Array:
        """Turns [T,B,...] into the layer's layout."""
        if not self.config.batched:
            return a[:, 0]
        return a.swapaxes(0, 1) if self.config.batch_first else a

    def time_first(self, a: Array) -> Array:
        """Turns the layer's layout back into [T,B,...]."""
        if not self.config.batched:
            return a[:, None]
        return a.swapaxes(0, 1) if self.config.batch_first else a

    def state(self, parts: tuple[Array, ...]) -> Any:
        if not parts:
            return None
        return cases.as_given(parts if self.config.batched else tuple(part[:, 0] for part in parts))

    def states_back(self, state: Any) -> tuple[Array, ...]:
        parts = cases.as_states(state)
        return parts if self.config.batched else tuple(part[:, None] for part in parts)

    def keywords(self) -> dict[str, Any]:
        found = dict(self.options)
        found |= {name: self.sequence(found[name]) for name in ("mask", "reset") if name in found}
        if "reset_state" in found:
            found["reset_state"] = self.state(found["reset_state"])
        return found

    def arguments(self) -> tuple[Array, Any]:
        return self.sequence(self.x), self.state(self.states)

    def run(self, layer: Any) -> plain.Result:
        """Calls the layer, an LSTM with return_states."""
        has_cells = self.config.equations == "lstm"
        output, state, *cells = layer(*self.arguments(), **self.keywords(), return_states=has_cells)
        return plain.Result(
            self.time_first(output), self.states_back(state), self.time_first(cells[0]) if cells else None, {}
        )

    def vjp(self, layer: Any, **more: Any) -> tuple[plain.Result, dict[str, Any]]:
        """Calls the layer's vjp, and returns its results and the gradients of the loss by group."""
        has_cells = self.config.equations == "lstm"
        found = layer.vjp(*self.arguments(), **self.keywords(), return_states=has_cells, **more)
        output, state, *cells, pullback = found
        result = plain.Result(
            self.time_first(output), self.states_back(state), self.time_first(cells[0]) if cells else None, {}
        )
        return result, self.gradients(pullback)

    def gradients(self, pullback: Any) -> dict[str, Any]:
        cells = self.loss.get("cell_states")
        found = pullback(
            self.sequence(self.loss["output"]),
            self.state(self.loss["state"]),
            None if cells is None else self.sequence(cells),
        )
        groups = {"input": {"x": self.time_first(found.input)}, "parameters": found.parameters}
        for name in ("state", "reset_state"):
            value = getattr(found, name)
            if value is not None:
                groups[name] = dict(zip("hc", self.states_back(value), strict=False))
        return groups

    # -- as the plain loop takes and gives it -----------------------------------------------------------

    def expected(self, parameters: Any, direction: dict[str, Any] | None = None, **more: Any) -> plain.Result:
        """Runs the plain loop; with a direction d, on x + 1e-30 i d, so that imaginary parts are derivatives."""
        moved = direction or {}

        def along(group: str, values: dict[str, Array]) -> dict[str, Array]:
            step = moved.get(group, {})
            return {name: v + plain.STEP * 1j * step[name] if name in step else v for name, v in values.items()}

        states = dict(zip("hc", self.states or map(np.zeros_like, self.loss["state"]), strict=False))
        options = {name: value for name, value in self.options.items() if name != "reset_state"}
        if "reset" in options:
            to = self.options.get("reset_state") or map(np.zeros_like, self.loss["state"])
            options["reset_state"] = tuple(along("reset_state", dict(zip("hc", to, strict=False))).values())
        return plain.run(
            self.config.equations,
            along("parameters", parameters),
            along("input", {"x": self.x})["x"],
            tuple(along("state", states).values()),
            **options,
            **{name: value for name, value in self.chosen.items() if name != "peephole"},
            **more,
        )

    def loss_of(self, result: plain.Result) -> Any:
        total = (result.output * self.loss["output"]).sum()
        total += sum((s * d).sum() for s, d in zip(result.state, self.loss["state"], strict=True))
        if "cell_states" in self.loss:
            total += (result.cell_states * self.loss["cell_states"]).sum()
        return total


def as_float64(parameters: Any) -> dict[str, Array]:
    return {name: value.astype(np.float64) for name, value in parameters.items()}


def assert_result(actual: plain.Result, expected: plain.Result, dtype: Any) -> None:
    parts = [expected.output, *expected.state]
    atol = cases.OUTPUT[dtype] * max([1.0, *(float(np.abs(p).max()) for p in parts if p.size)])
    cases.assert_near(actual.output, expected.output, atol, "output", dtype)
    for name, one, other in zip("hc", actual.state, expected.state, strict=False):
        cases.assert_near(one, other, atol, name, dtype)
    if expected.cell_states is not None:
        cases.assert_near(actual.cell_states, expected.cell_states, atol, "cell states", dtype)


def assert_derivatives(call: Call, layer: Any, gradients: dict[str, Any], seed: int = 0) -> None:
    """Compares the gradients of each group along one random direction with the plain loop, in float64."""
    rng, parameters = np.random.default_rng(seed), layer.state_dict()
    products: dict[str, Array] = {}
    slopes = {}
    for group, values in gradients.items():
        direction = {name: rng.standard_normal(value.shape) for name, value in values.items()}
        terms = [(direction[name] * value).ravel() for name, value in values.items()]
        products[group] = np.concatenate(terms)
        slopes[group] = call.loss_of(call.expected(parameters, {group: direction})).imag / plain.STEP
    # The rounding error of the largest term flows into all.
    scale = sum(float(np.abs(terms).sum()) for terms in products.values())
    for group, found in products.items():
        np.testing.assert_allclose(found.sum(), slopes[group], rtol=0, atol=GRADIENT * scale, err_msg=group)


def same_bytes(one: Any, other: Any) -> bool:
    """Whether results, groups of gradients, tuples or arrays have equal dtypes, shapes and bits."""
    if isinstance(one, dict):
        return list(one) == list(other) and all(same_bytes(one[key], other[key]) for key in one)
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(map(same_bytes, one, other))
    if one is None or other is None:
        return one is other
    return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


@st.composite
def configs(draw: Any, /, dtypes: Any = (np.float64,), cells: Any = CELLS, sizes: int = 6, **fixed: Any) -> Config:
    chosen = {
        "cell": draw(st.sampled_from(cells)),
        "layers": draw(st.integers(1, 3)),
        "bidirectional": draw(st.booleans()),
        "bias": draw(st.booleans()),
        "dtype": draw(st.sampled_from(dtypes)),
        "given": draw(st.booleans()),
        "T": draw(st.integers(1, 7)),
        "B": draw(st.integers(1, 4)),
        "I": draw(st.integers(1, sizes)),
        "H": draw(st.integers(2, sizes)),
    } | fixed
    if "batched" not in fixed and not draw(st.integers(0, 3)):
        chosen |= {"batched": False, "B": 1}
    elif "batch_first" not in fixed:
        chosen["batch_first"] = draw(st.booleans())
    return Config(P=draw(st.integers(1, chosen["H"] - 1)), **chosen)


@st.composite
def calls(draw: Any, /, kinds: Any = ("lengths", "mask", "reset"), **config: Any) -> Call:
    """Draws a call with some of the options."""
    asked = draw(st.sets(st.sampled_from(kinds), min_size=1))
    if "reset" in asked:
        config["bidirectional"] = False
    made: Config = draw(configs(**config))
    seed = draw(st.integers(0, 999))
    flags = st.lists(st.booleans(), min_size=made.T * made.B, max_size=made.T * made.B)
    options: dict[str, Any] = {}
    if "lengths" in asked:
        options["lengths"] = draw(st.lists(st.integers(0, made.T), min_size=made.B, max_size=made.B))
    for name in ("mask", "reset"):
        if name in asked:
            options[name] = np.array(draw(flags), bool).reshape(made.T, made.B)
    if "mask" in asked or "lengths" in asked:
        options["masked_output"] = draw(st.sampled_from(["zero", "hold"]))
    if "reset" in asked and draw(st.booleans()):
        states = replace(made, batched=True).draw_states(np.random.default_rng(seed + 1))
        options["reset_state"] = states
    return replace(Call.draw(made, seed), options=options)
