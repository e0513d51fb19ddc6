"""A trial is a copy of a model with the arguments of a call, which `measure` runs."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.rnn import RNNBase, RNNCellBase
from torch.nn.utils.rnn import PackedSequence


class Trial:
    """A copy of a model and of the arguments of a call; the model itself and its arguments stay as they are."""

    def __init__(self, model: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        try:
            self.model = copy.deepcopy(model)
        except (RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"measure needs copies of the model, and copy.deepcopy(model) says: {str(error)[:200]}"
            ) from error
        self.inputs, self.keywords = fresh(inputs), fresh(keywords)

    def run(self, training: bool) -> tuple[list[Tensor], list[Tensor]]:
        """Returns the outputs, and with `training` the gradients of all parameters that have one."""
        torch.manual_seed(0)  # for dropout
        outputs = self.step(training)
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        return [output.detach().clone() for output in outputs], [grad.clone() for grad in gradients]

    def trains(self) -> bool:
        """Whether some output has gradients."""
        torch.manual_seed(0)  # for dropout
        return any(output.requires_grad for output in self.called(True))

    def called(self, training: bool) -> list[Tensor]:
        self.model.train(training)
        with torch.set_grad_enabled(training):
            outputs = list(floats_of(self.model(*self.inputs, **self.keywords)))
        if not outputs:
            raise TypeError("measure compares a model's outputs, but this one returned no floating-point tensor.")
        return outputs

    def step(self, training: bool) -> list[Tensor]:
        """Makes a call, and with `training` the backward of the outputs' mean square."""
        if training:
            self.model.zero_grad(set_to_none=True)
        outputs = self.called(training)
        if training:
            losses = [output.square().mean() for output in outputs if output.requires_grad]
            torch.autograd.backward(losses)
        return outputs

    def recurrence(self, training: bool) -> Callable[[], None]:
        """Returns a function that repeats the recurrent modules' calls of one step, and with `training` backward."""
        calls: list[tuple[nn.Module, Any, Any, torch.autocast]] = []

        def keep(module: nn.Module, args: Any, kwargs: Any) -> None:
            cast = torch.autocast("cpu", torch.get_autocast_dtype("cpu"), torch.is_autocast_enabled("cpu"), False)
            calls.append((module, fresh(args), fresh(kwargs), cast))

        modules = [module for module in self.model.modules() if isinstance(module, (RNNBase, RNNCellBase))]
        hooks = [module.register_forward_pre_hook(keep, with_kwargs=True) for module in modules]
        try:
            self.called(training)
        finally:
            for hook in hooks:
                hook.remove()
        given = [t for _, args, kwargs, _ in calls for t in floats_of((args, kwargs)) if t.requires_grad]
        weights = [weight for module in modules for weight in module.parameters() if weight.requires_grad]

        def repeat() -> None:
            outputs: list[Tensor] = []
            for module, args, kwargs, cast in calls:
                with torch.set_grad_enabled(training), cast:
                    outputs += floats_of(module.forward(*args, **kwargs))
            wanted = [output for output in outputs if output.requires_grad]
            if wanted:
                seeds = [torch.ones_like(output) for output in wanted]
                torch.autograd.grad(wanted, [*given, *weights], seeds, allow_unused=True)

        return repeat


def fresh(value: Any) -> Any:
    """Copies the tensors in nested tuples, lists and dicts; a copy that had gradients is a leaf."""
    if isinstance(value, PackedSequence):
        return PackedSequence(fresh(value.data), *value[1:])
    if isinstance(value, Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, dict):
        return {key: fresh(part) for key, part in value.items()}
    if type(value) in (tuple, list):
        return type(value)(map(fresh, value))
    return value


def floats_of(value: Any) -> Iterator[Tensor]:
    """Yields the floating-point tensors in a model's output: in tuples, lists, mappings and dataclasses."""
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from floats_of(part)
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from floats_of(part)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from floats_of(getattr(value, field.name))
