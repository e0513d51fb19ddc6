"""skorch and Lightning train an accelerated model as they train torch's."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from torch import Tensor, nn

import pyrnn.torch

CURVE = 1e-5  # losses of some dozens of steps in float32, which carry the rounding errors on


class Tagger(nn.Module):
    """A score for each step of sequences [B,T,3]."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(3, 8, batch_first=True, bidirectional=True)
        self.head = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.rnn(x)[0])
        return scores


def data() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(64, 9, 3)).astype(np.float32)
    return x, x.cumsum(1).sum(-1, keepdims=True)


def with_skorch(accelerated: bool) -> list[float]:
    from skorch import NeuralNetRegressor

    torch.manual_seed(0)
    net = NeuralNetRegressor(
        Tagger, max_epochs=5, lr=1e-2, optimizer=torch.optim.Adam, batch_size=16, train_split=None, verbose=0
    )
    net.initialize()
    if accelerated:
        assert pyrnn.torch.accelerate(net.module_).swapped
    net.partial_fit(*data())
    net.predict(data()[0])
    losses: list[float] = net.history[:, "train_loss"]
    return losses


def with_lightning(accelerated: bool) -> list[float]:
    import pytorch_lightning

    class Module(pytorch_lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.losses = Tagger(), list[float]()

        def training_step(self, batch: Any, _: int) -> Tensor:
            loss = nn.functional.mse_loss(self.model(batch[0]), batch[1])
            self.losses.append(loss.item())
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=1e-2)

    torch.manual_seed(0)
    module = Module()
    if accelerated:
        assert pyrnn.torch.accelerate(module).swapped
    pairs = torch.utils.data.TensorDataset(*map(torch.from_numpy, data()))
    trainer = pytorch_lightning.Trainer(
        max_epochs=5, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, torch.utils.data.DataLoader(pairs, batch_size=16))
    return module.losses


@pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning", "ignore:.*LeafSpec:FutureWarning")
@pytest.mark.parametrize(("package", "train"), [("skorch", with_skorch), ("pytorch_lightning", with_lightning)])
def test_trainer_follows_torch(package: str, train: Any) -> None:
    pytest.importorskip(package)
    theirs, ours = train(False), train(True)
    assert len(theirs) >= 5
    assert np.mean(theirs[-4:]) < np.mean(theirs[:4])
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=CURVE)
