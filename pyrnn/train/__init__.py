"""This folder trains networks on NumPy arrays: losses, optimizers, clipping, schedules and a training loop."""

from __future__ import annotations

from .clip import clip_grad_norm, clip_grad_value
from .fit import fit
from .history import History
from .loss import bce_with_logits, cross_entropy, huber_loss, l1_loss, mse_loss
from .loss_probabilities import bce_loss, categorical_crossentropy, nll_loss
from .optim import SGD, Adam, AdamW, Optimizer
from .schedule import CosineAnnealingLR, ReduceLROnPlateau
from .truncated import truncated_bptt

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "History",
    "Optimizer",
    "ReduceLROnPlateau",
    "bce_loss",
    "bce_with_logits",
    "categorical_crossentropy",
    "clip_grad_norm",
    "clip_grad_value",
    "cross_entropy",
    "fit",
    "huber_loss",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "truncated_bptt",
]
