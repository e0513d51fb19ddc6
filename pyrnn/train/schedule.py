"""Learning-rate schedules set `optimizer.lr` once an epoch, in `step`, as in torch.optim.lr_scheduler."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from pyrnn.checks.arguments import check_int, check_not_negative, check_size
from pyrnn.checks.quoting import brief

from .optim import Optimizer


class Scheduler:
    """Base class of the schedules: the optimizer whose rate they set, and a state for resuming."""

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"A scheduler drives a pyrnn optimizer, got {type(optimizer).__name__}.")
        self.optimizer = optimizer

    def state_dict(self) -> dict[str, Any]:
        """Returns settings and counters, numbers and strings. The learning rate is in the optimizer's state dict."""
        return {name: value for name, value in vars(self).items() if name != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes a `state_dict`.

        Raises:
            ValueError: if the names are not those of this schedule; then nothing changes.
        """
        expected = self.state_dict()
        if set(state_dict) != set(expected):
            kept = ", ".join(expected)
            raise ValueError(f"{type(self).__name__} keeps {kept}; got {', '.join(state_dict)}.")
        vars(self).update(state_dict)


class ReduceLROnPlateau(Scheduler):
    """Multiplies the learning rate by `factor` when a loss has stopped falling, as torch's.

    Args:
        optimizer: the optimizer whose `lr` changes.
        mode: "min" if less is better, "max" if more is.
        factor: in (0, 1).
        patience: the number of epochs without improvement that change nothing.
        threshold: the least improvement that counts.
        threshold_mode: "rel" to take `threshold` as a fraction of the best, "abs" as a difference from it.
        cooldown: the number of epochs after a reduction that do not count towards the next.
        min_lr: the lowest learning rate.
        eps: the least change of the learning rate; smaller ones are left out.

    Raises:
        ValueError: if a setting is out of range.

    Example:
        >>> import pyrnn
        >>> from pyrnn.train import SGD
        >>> optimizer = SGD(pyrnn.Linear(1, 1), lr=1.0)
        >>> scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
        >>> for loss in [3.0, 3.0, 3.0]:
        ...     scheduler.step(loss)
        >>> optimizer.lr
        0.5

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(optimizer)
        if not 0 < check_not_negative("factor", factor) < 1:
            raise ValueError(f"factor should be between 0 and 1, got {factor}.")
        if mode not in ("min", "max"):
            raise ValueError(f'mode should be "min" or "max", got {brief(mode)}.')
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f'threshold_mode should be "rel" or "abs", got {brief(threshold_mode)}.')
        check_int("patience", patience, least=0)
        check_int("cooldown", cooldown, least=0)
        for name, number in {"threshold": threshold, "min_lr": min_lr, "eps": eps}.items():
            check_not_negative(name, number, finite=False)
        self.mode, self.factor, self.patience = mode, factor, patience
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.cooldown, self.min_lr, self.eps = cooldown, min_lr, eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0

    def step(self, metrics: float) -> None:
        """Ends an epoch whose loss, or other measure, was `metrics`."""
        self.num_bad_epochs += 1
        if self._is_better(float(metrics)):
            self.best, self.num_bad_epochs = float(metrics), 0
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            reduced = max(self.optimizer.lr * self.factor, self.min_lr)
            if self.optimizer.lr - reduced > self.eps:
                self.optimizer.lr = reduced
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def _is_better(self, value: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "rel":
            return sign * value < sign * self.best * (1 - sign * self.threshold)
        return sign * value < sign * self.best - self.threshold


class CosineAnnealingLR(Scheduler):
    """Makes the learning rate fall along half a cosine, and rise again after `T_max` epochs, as torch's.

        lr = eta_min + (base_lr - eta_min) * (1 + cos(pi * epoch / T_max)) / 2

    base_lr is the optimizer's `lr` when the schedule is made.

    Args:
        optimizer: the optimizer whose `lr` it sets.
        T_max: the number of epochs until `eta_min` is reached.
        eta_min: the lowest learning rate.

    Raises:
        ValueError: if `T_max` is less than 1.

    Example:
        >>> import pyrnn
        >>> from pyrnn.train import SGD
        >>> optimizer = SGD(pyrnn.Linear(1, 1), lr=1.0)
        >>> scheduler = CosineAnnealingLR(optimizer, T_max=2)
        >>> scheduler.step()
        >>> round(optimizer.lr, 6)
        0.5

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingLR.html; Loshchilov
    & Hutter 2017 (arXiv:1608.03983), without restarts.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:  # noqa: N803 (torch's name)
        super().__init__(optimizer)
        check_size("T_max", T_max)
        check_not_negative("eta_min", eta_min)
        self.T_max, self.eta_min = T_max, eta_min
        self.base_lr = optimizer.lr
        self.last_epoch = 0

    def step(self) -> None:
        """Ends an epoch."""
        self.last_epoch += 1
        height = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        self.optimizer.lr = self.eta_min + (self.base_lr - self.eta_min) * height
