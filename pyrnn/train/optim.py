"""SGD, Adam and AdamW compute torch.optim's steps, operation by operation, so float32 agrees over many steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from pyrnn.checks.arguments import check_bools, check_not_negative
from pyrnn.checks.arrays import Array, to_array
from pyrnn.checks.quoting import brief
from pyrnn.core.module import Module

from .clip import check_gradients

State = dict[str, Any]


class Optimizer:
    """Base class of the optimizers: the model, the learning rate, and a state for each parameter.

    Attributes:
        model: the module whose parameters `step` replaces.
        lr: the learning rate, which schedulers change between steps.
    """

    def __init__(self, model: Module, lr: float) -> None:
        if not isinstance(model, Module):
            raise TypeError(f"The optimizer takes the model, a pyrnn Module, got {type(model).__name__}.")
        self.model = model
        self.lr = check_not_negative("lr", lr)
        self._state: dict[str, State] = {}

    def step(self, gradients: Mapping[str, Any]) -> None:
        """Replaces every parameter that has a gradient; the others keep their value and their state.

        It computes all new values before it sets the first, so an error changes nothing.

        Args:
            gradients: arrays by parameter name, shaped as the parameters: a pullback's `.parameters`.

        Raises:
            TypeError: if `gradients` is no mapping.
            ValueError: for a name that is no parameter of the model, or a gradient of another shape.
        """
        check_gradients(gradients)
        parameters = self.model.parameters()
        values: dict[str, Array] = {}
        states: dict[str, State] = {}
        for name, given in gradients.items():
            value = _known(parameters, name, "gradients")
            gradient = _shaped(f"The gradient of {name}", to_array(given, name), value).astype(value.dtype)
            state = self._state.get(name, {})
            values[name], states[name] = self._update(value, gradient, float(self.lr), state)
        self.model.load_state_dict(values, strict=False)
        self._state = {**self._state, **states}

    def state_dict(self) -> dict[str, Array]:
        """Returns the learning rate and every parameter's state, as arrays for `np.savez(path, **state_dict)`.

        The keys are "lr" and, for each state, the parameter's name, a dot and torch's name: "weight.exp_avg". The
        other settings come from the constructor.
        """
        flat = {
            f"{name}.{slot}": np.array(value) for name, state in self._state.items() for slot, value in state.items()
        }
        return {"lr": np.array(self.lr), **flat}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes a `state_dict`, or `np.load` of its file, so that training goes on as if never stopped.

        Raises:
            ValueError: for names or shapes not of this model and optimizer; then nothing changes.
        """
        if "lr" not in state_dict:
            raise ValueError('The state_dict of an optimizer has the key "lr"; this one has not.')
        parameters = self.model.parameters()
        states: dict[str, State] = {}
        for key in state_dict:
            if key != "lr":
                name, _, slot = key.rpartition(".")
                value = _known(parameters, name, "state_dict")
                states.setdefault(name, {})[slot] = self._slot(key, slot, state_dict[key], value)
        for name, state in states.items():
            if set(state) != set(self._slots()):
                kept = ", ".join(self._slots()) or "nothing"
                raise ValueError(
                    f"{type(self).__name__} with these settings keeps {kept} for each parameter; "
                    f"the state_dict has {', '.join(sorted(state))} for {name}."
                )
        self.lr = check_not_negative("lr", state_dict["lr"])
        self._state = states

    def _slot(self, key: str, slot: str, given: Any, value: Array) -> Any:
        array = to_array(given, key)
        if slot == "step":
            return int(array)
        return _shaped(key, array, value).astype(value.dtype)

    def _slots(self) -> tuple[str, ...]:
        raise NotImplementedError

    def _update(self, value: Array, gradient: Array, lr: float, state: State) -> tuple[Array, State]:
        """Returns the new value and state of one parameter and changes neither argument; `state` is empty at first."""
        raise NotImplementedError


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, as torch.optim.SGD.

    With gradient g of the parameter p:

        g = g + weight_decay * p
        b = g at the first step, then momentum * b + (1 - dampening) * g
        p = p - lr * b        with nesterov: p - lr * (g + momentum * b)

    Args:
        model: the module to train.
        lr: the learning rate.
        momentum: the share of the last step that the next one keeps.
        dampening: the share of the gradient that momentum leaves out.
        weight_decay: L2 penalty, added to the gradient.
        nesterov: whether to use Nesterov's momentum.

    Raises:
        ValueError: for a setting out of range, or for nesterov without momentum or with dampening.

    Example:
        >>> import pyrnn
        >>> model = pyrnn.Linear(1, 1, seed=0)
        >>> before = model.bias
        >>> SGD(model, lr=0.5).step({"bias": np.array([1.0])})
        >>> (before - model.bias).round(6)
        array([0.5], dtype=float32)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html; Sutskever et al. 2013.
    """

    def __init__(
        self,
        model: Module,
        lr: float,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(model, lr)
        self.momentum = check_not_negative("momentum", momentum)
        self.dampening = check_not_negative("dampening", dampening)
        self.weight_decay = check_not_negative("weight_decay", weight_decay)
        check_bools(nesterov=nesterov)
        self.nesterov = nesterov
        if nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ValueError(
                "Nesterov momentum requires a momentum and zero dampening, "
                f"got momentum={momentum} and dampening={dampening}."
            )

    def _slots(self) -> tuple[str, ...]:
        return ("momentum_buffer",) if self.momentum else ()

    def _update(self, value: Array, gradient: Array, lr: float, state: State) -> tuple[Array, State]:
        if self.weight_decay:
            gradient = gradient + self.weight_decay * value
        if not self.momentum:
            return value - lr * gradient, {}
        buffer = gradient
        if state:
            buffer = self.momentum * state["momentum_buffer"] + (1 - self.dampening) * gradient
        ahead = gradient + self.momentum * buffer if self.nesterov else buffer
        return value - lr * ahead, {"momentum_buffer": buffer}


class Adam(Optimizer):
    """Adam, with weight decay as an L2 penalty in the gradient, as torch.optim.Adam.

    With gradient g of the parameter p, at step n = 1, 2, ...:

        g = g + weight_decay * p
        m = m + (1 - beta1) * (g - m)
        v = beta2 * v + (1 - beta2) * g * g
        p = p - lr / (1 - beta1^n) * m / (sqrt(v) / sqrt(1 - beta2^n) + eps)

    With amsgrad the largest v so far replaces v in the last line.

    Args:
        model: the module to train.
        lr: the learning rate.
        betas: (beta1, beta2), the decay of the running means of the gradient and of its square, each in [0, 1).
        eps: a number that keeps the divisor from zero.
        weight_decay: L2 penalty, added to the gradient.
        amsgrad: whether to use the largest v so far.

    Raises:
        ValueError: for a setting out of range.

    Example:
        >>> import pyrnn
        >>> model = pyrnn.Linear(1, 1, seed=0)
        >>> before = model.bias
        >>> Adam(model, lr=0.1).step({"bias": np.array([2.0])})
        >>> (before - model.bias).round(6)
        array([0.1], dtype=float32)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html; Kingma & Ba 2015 (arXiv:1412.6980);
    amsgrad: Reddi et al. 2018.
    """

    decoupled = False  # whether weight decay acts on the parameter itself, not on the gradient

    def __init__(
        self,
        model: Module,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(model, lr)
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"betas should be two numbers in [0, 1), got {brief(betas)}.")
        self.betas = (check_not_negative("betas[0]", betas[0]), check_not_negative("betas[1]", betas[1]))
        if max(self.betas) >= 1:
            raise ValueError(f"betas should be two numbers in [0, 1), got {brief(betas)}.")
        self.eps = check_not_negative("eps", eps)
        self.weight_decay = check_not_negative("weight_decay", weight_decay)
        check_bools(amsgrad=amsgrad)
        self.amsgrad = amsgrad

    def _slots(self) -> tuple[str, ...]:
        return ("step", "exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if self.amsgrad else []))

    def _update(self, value: Array, gradient: Array, lr: float, state: State) -> tuple[Array, State]:
        if self.weight_decay and self.decoupled:
            value = value * (1 - lr * self.weight_decay)
        elif self.weight_decay:
            gradient = gradient + self.weight_decay * value
        beta1, beta2 = self.betas
        new = {slot: state.get(slot, np.zeros_like(value)) for slot in self._slots()}
        new["step"] = n = state.get("step", 0) + 1
        new["exp_avg"] = new["exp_avg"] + (1 - beta1) * (gradient - new["exp_avg"])
        largest = new["exp_avg_sq"] = beta2 * new["exp_avg_sq"] + (1 - beta2) * gradient * gradient
        if self.amsgrad:
            largest = new["max_exp_avg_sq"] = np.maximum(new["max_exp_avg_sq"], largest)
        denominator = np.sqrt(largest) / math.sqrt(1 - beta2**n) + self.eps
        return value - (lr / (1 - beta1**n)) * new["exp_avg"] / denominator, new


class AdamW(Adam):
    """Adam with weight decay outside the gradient, as torch.optim.AdamW. Arguments are those of `Adam`.

    It first decays the parameter, then does Adam's step without weight_decay:

        p = p * (1 - lr * weight_decay)

    Example:
        >>> import pyrnn
        >>> model = pyrnn.Linear(1, 1, seed=0)
        >>> before = model.bias
        >>> AdamW(model, lr=0.1, weight_decay=0.5).step({"bias": np.array([0.0])})
        >>> (model.bias / before).round(6)
        array([0.95], dtype=float32)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html; Loshchilov & Hutter 2019
    (arXiv:1711.05101).
    """

    decoupled = True

    def __init__(
        self,
        model: Module,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(model, lr, betas, eps, weight_decay, amsgrad)


def _known(parameters: Mapping[str, Array], name: str, where: str) -> Array:
    if name not in parameters:
        raise ValueError(
            f"{where} names {brief(name)}, which is no parameter of the model; it has "
            f"{', '.join(parameters) or 'none'}."
        )
    return parameters[name]


def _shaped(what: str, array: Array, parameter: Array) -> Array:
    if array.shape != parameter.shape:
        raise ValueError(f"{what} should have the parameter's shape {parameter.shape}, got {array.shape}.")
    return array
