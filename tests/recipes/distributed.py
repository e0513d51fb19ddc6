"""Trains a GRU on several processes, each of which takes its share of every batch; DistributedDataParallel averages
the gradients.

In the task two numbers of a sequence are marked; the answer is their sum.

On one machine, with two processes:

    torchrun --standalone --nproc-per-node 2 distributed.py

On two machines, of which the first is called one.example and can be reached from both at port 29500:

    torchrun --nnodes 2 --node-rank 0 --nproc-per-node 2 --master-addr one.example --master-port 29500 distributed.py
    torchrun --nnodes 2 --node-rank 1 --nproc-per-node 2 --master-addr one.example --master-port 29500 distributed.py

The first line runs on the first machine, the second on the other. A plain `python distributed.py` trains on the whole
batch in one process, and gives the same model up to rounding.
"""

from __future__ import annotations

import argparse
import gc
import os

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import pyrnn
import pyrnn.torch

STEPS, BATCH, LENGTH = 30, 16, 20


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = pyrnn.torch.GRU(2, 32, num_layers=2)
        self.head = nn.Linear(32, 1)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.head(self.rnn(x)[0][-1])
        return answer


def draw_batch(step: int) -> tuple[Tensor, Tensor]:
    """Draws inputs [T,B,2], a number and its mark, and answers [B,1], the same in every process."""
    generator = torch.Generator().manual_seed(step)
    numbers = torch.rand(LENGTH, BATCH, generator=generator)
    places = torch.rand(LENGTH, BATCH, generator=generator).argsort(0)[:2]
    marks = torch.zeros(LENGTH, BATCH).scatter(0, places, 1)
    return torch.stack([numbers, marks], -1), (numbers * marks).sum(0)[:, None]


def train(model: nn.Module, rank: int, world: int) -> list[float]:
    """Trains the model, and returns the loss of each step over all processes."""
    parallel = DistributedDataParallel(model) if world > 1 else model
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for step in range(STEPS):
        x, answer = draw_batch(step)
        loss = (parallel(x[:, rank::world]) - answer[rank::world]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        mean = loss.detach().clone()
        if world > 1:
            dist.all_reduce(mean)
            mean /= world
        losses.append(mean.item())
    return losses


def leave() -> None:
    """Ends the process group, whose threads must not outlive Python; DistributedDataParallel keeps it in a cycle."""
    gc.collect()
    dist.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--save", default="model.pt", help="where the first process writes the trained weights")
    save = parser.parse_args().save
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    # The processes of a machine share its CPUs.
    here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    pyrnn.set_num_threads(max(1, pyrnn.get_num_threads() // here))
    if world > 1:
        dist.init_process_group("gloo")
    torch.manual_seed(0)
    model = Model()
    losses = train(model, rank, world)
    if rank == 0:
        print(f"loss: {losses[0]:.3f} at first, {losses[-1]:.3f} after {STEPS} steps")
        torch.save({"model": model.state_dict(), "losses": losses}, save)
    if world > 1:
        leave()


if __name__ == "__main__":
    main()
