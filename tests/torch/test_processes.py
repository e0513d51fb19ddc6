"""The drop-ins work in several processes and threads: DistributedDataParallel, torchrun, forks, shared memory."""

from __future__ import annotations

import multiprocessing
import runpy
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
import torch.distributed as dist
from cases import GRADIENT, OUTPUT
from child_processes import LIMIT, finish, start
from drop_ins import CELLS, LAYERS, pair, results, tensors_of
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

import pyrnn
import pyrnn.torch as drop_in

RECIPE = Path(__file__).parents[1] / "recipes" / "distributed.py"


# -- DistributedDataParallel -------------------------------------------------------------------------------

# The processes meet over a file, so that no port has to be free.
SHARE = """
import runpy, sys, pyrnn.torch, torch, torch.distributed as dist
recipe, place, rank, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
torch.set_default_dtype(torch.float64)
dist.init_process_group("gloo", init_method=place, rank=rank, world_size=2)
names = runpy.run_path(recipe)
torch.manual_seed(rank)  # rank 0 hands out its weights
model = names["Model"]()
assert "kernels" in pyrnn.torch.explain(model.rnn, names["draw_batch"](0)[0])
losses = names["train"](model, rank, 2)
torch.save((model.state_dict(), losses), out)
names["leave"]()
"""


def assert_same_training(one: Any, other: Any, atol: float) -> None:
    assert list(one[0]) == list(other[0])
    for name, weight in one[0].items():
        torch.testing.assert_close(weight, other[0][name], rtol=0, atol=atol, msg=name)
    assert one[1] == pytest.approx(other[1], rel=0, abs=atol)


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("float64")
def test_two_processes_train_as_torch_does_in_one(tmp_path: Path) -> None:
    place = f"file://{tmp_path / 'rendezvous'}"
    shares = [tmp_path / f"{rank}.pt" for rank in range(2)]
    finish(*[start("-c", SHARE, str(RECIPE), place, str(i), str(out)) for i, out in enumerate(shares)])
    names = runpy.run_path(str(RECIPE))
    torch.manual_seed(0)
    model = names["Model"]()
    assert drop_in.restore(model) == ["rnn"]
    losses = names["train"](model, 0, 1)
    assert losses[-1] < 0.5 * losses[0]
    first, second = (torch.load(out) for out in shares)
    assert_same_training(first, second, atol=0)
    # The sum of the gradients of two halves of a batch rounds otherwise than that of the whole batch; Adam divides by
    # the size of the gradients, 1e-3 or less, and 30 steps carry the difference on. 1e-10 is the contract for loss
    # curves in float64.
    assert_same_training(first, (model.state_dict(), losses), atol=1e-10)


def test_torchrun_trains_as_one_process_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, together = str(tmp_path / "alone.pt"), str(tmp_path / "together.pt")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2")
    assert "loss: 0." in finish(start(*torchrun, str(RECIPE), "--save", together))
    threads = pyrnn.get_num_threads()
    monkeypatch.setattr(sys, "argv", [str(RECIPE), "--save", alone])
    runpy.run_path(str(RECIPE), run_name="__main__")
    pyrnn.set_num_threads(threads)
    one, two = (tuple(torch.load(path).values()) for path in (alone, together))
    assert_same_training(one, two, atol=1e-5)  # as above, in float32


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'rendezvous'}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("process_group")
@pytest.mark.parametrize(
    ("wrapper", "options"),
    [
        (DataParallel, {}),
        (DistributedDataParallel, {}),
        (DistributedDataParallel, {"static_graph": True, "gradient_as_bucket_view": True}),
    ],
)
def test_wrapped_models_are_accelerated(wrapper: Any, options: dict[str, bool]) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRU(3, 5, 2, dtype=torch.float64)
            self.cell = nn.LSTMCell(5, 4, dtype=torch.float64)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.cell(self.rnn(x)[0][-1])[0]
            return found

    wrapped = wrapper(Model(), **options)
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    found = []
    for accelerated in (False, True):
        if accelerated:
            report = drop_in.accelerate(wrapped)
            assert report.swapped == {"module.rnn": "GRU", "module.cell": "LSTMCell"}
        wrapped.zero_grad()
        wrapped(x).sum().backward()
        found.append([parameter.grad.clone() for parameter in wrapped.parameters()])
    assert type(wrapped.module.rnn) is drop_in.GRU
    torch.testing.assert_close(*found, rtol=0, atol=GRADIENT[np.float64])
    assert drop_in.restore(wrapped) == ["module.rnn", "module.cell"]


# nn.parallel.replicate does this, one replica for each CUDA device.
@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_a_replica_has_weights_of_its_own(name: str) -> None:
    x = torch.randn(*(() if "Cell" in name else (4,)), 2, 3)
    theirs, ours = pair(name, 3, 5)
    ours(x)
    outputs = []
    for module in (theirs, ours):
        replica = module._replicate_for_data_parallel()
        replica._former_parameters = {}
        for parameter_name, parameter in module.named_parameters():
            setattr(replica, parameter_name, parameter.clone() * 2)
        outputs.append(list(tensors_of(replica(x))))
    torch.testing.assert_close(*outputs, rtol=0, atol=OUTPUT[np.float32])
    assert not torch.equal(outputs[1][0], next(tensors_of(ours(x))))


# -- fork --------------------------------------------------------------------------------------------------

# This runs in a fresh Python, so that its number of threads, or a deadlock, touches no other test. Calls on tensors
# run on torch's threads, calls on arrays on pyrnn's pool, whose second thread the forked workers lack.
LOADER = """
import os, torch, pyrnn.torch
from torch.utils.data import DataLoader, Dataset

torch.set_num_threads(1)
pyrnn.set_num_threads(2)
torch.manual_seed(0)
layer, x = pyrnn.torch.GRU(32, 64, num_layers=2), torch.randn(4, 64, 32, 32)
on_arrays = pyrnn.GRU(32, 64, num_layers=2, seed=0)

def tasks():
    return len(os.listdir("/proc/self/task"))

class Sequences(Dataset):
    def __len__(self):
        return len(x)
    def __getitem__(self, i):
        with torch.no_grad():
            return torch.cat([layer(x[i])[1], torch.from_numpy(on_arrays(x[i].numpy())[1])])

def collate(items):
    found = torch.stack(items).requires_grad_()
    loss = layer(x[0], found[0, :2])[0].square().sum()
    return found.detach(), torch.autograd.grad(loss, found)[0]

before = tasks()
on_arrays(x[0].numpy())
assert tasks() == before + 1, "the pool is not awake"
data = Sequences()
expected = [collate([data[0], data[1]]), collate([data[2], data[3]])]
loader = DataLoader(data, 2, num_workers=2, multiprocessing_context="fork", timeout=30, collate_fn=collate)
for _ in range(2):
    for batch, wanted in zip(loader, expected, strict=True):
        assert all(map(torch.equal, batch, wanted))
    assert all(map(torch.equal, collate([data[0], data[1]]), expected[0]))
"""


def test_forked_workers_of_a_loader_compute_the_same_bits() -> None:
    finish(start("-W", "ignore::DeprecationWarning", "-c", LOADER))


def answer(module: nn.Module, x: Tensor, connection: Any) -> None:
    """Calls the module with the current weights for each True that it receives, and ends at a False."""
    with torch.no_grad():
        while connection.recv():
            connection.send_bytes(next(tensors_of(module(x))).numpy().tobytes())


def assert_a_child_follows(module: nn.Module, x: Tensor, edits: Any) -> None:
    """Asserts that a forked child reads the weights that the parent writes, as in Hogwild training."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=answer, args=(module.share_memory(), x, theirs), daemon=True)
    module(x)
    child.start()
    seen = []
    try:
        for edit in [lambda: None, *edits]:
            with torch.no_grad():
                edit()
                ours.send(True)
                assert ours.poll(LIMIT), "the child hangs"
                seen.append(ours.recv_bytes())
                assert seen[-1] == next(tensors_of(module(x))).numpy().tobytes()
        ours.send(False)
        child.join(LIMIT)
    finally:
        child.kill()
    assert len(set(seen)) == len(seen), "an edit changed nothing"


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # Python 3.12 warns at fork
@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_a_forked_child_sees_shared_weights_change(name: str) -> None:
    module = getattr(drop_in, name)(3, 40)
    x = torch.randn(*(() if "Cell" in name else (4,)), 2, 3)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    next(tensors_of(module(x))).sum().backward()
    assert_a_child_follows(module, x, [optimizer.step] * 3)


# -- threads -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_one_module_called_from_several_threads_gives_the_same_bits(name: str) -> None:
    inputs = [torch.randn(*(() if "Cell" in name else (20,)), 8, 3) for _ in range(4)]

    def call(module: nn.Module, x: Tensor) -> list[Tensor]:
        x = x.clone().requires_grad_()
        outputs = list(tensors_of(module(x)))
        loss = torch.stack([out.sin().sum() for out in outputs]).sum()
        return [*outputs, *torch.autograd.grad(loss, [x, *module.parameters()])]

    expected = [call(pair(name, 3, 24)[1], x) for x in inputs]
    _, fresh = pair(name, 3, 24)  # nothing packed yet
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: call(fresh, inputs[i % 4]), range(80)))
    for i, tensors in enumerate(found):
        assert all(map(torch.equal, tensors, expected[i % 4]))


@pytest.mark.parametrize("name", ["GRU", "LSTMCell"])
def test_threads_may_add_to_the_same_gradients(name: str) -> None:
    x = torch.randn(*(() if "Cell" in name else (20,)), 8, 3, dtype=torch.float64)
    theirs, ours = pair(name, 3, 24, dtype=torch.float64)
    one = results(theirs, (x,))[1][1:]
    scale = max(g.abs().max().item() for g in one)

    def backward(_: int) -> None:
        outputs = list(tensors_of(ours(x)))
        torch.stack([((i + 1) * out.sin()).sum() for i, out in enumerate(outputs)]).sum().backward()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(backward, range(12)))
    for parameter, gradient in zip(ours.parameters(), one, strict=True):
        torch.testing.assert_close(parameter.grad / 12, gradient, rtol=0, atol=GRADIENT[np.float64] * scale)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("name", ["GRU", "LSTMCell"])
def test_a_forked_child_sees_one_shared_number_change(name: str) -> None:
    module = getattr(drop_in, name)(3, 40)
    x = torch.randn(*(() if "Cell" in name else (4,)), 2, 3)
    weight = next(module.parameters())
    assert_a_child_follows(module, x, [lambda: weight[1, 1].add_(1)])
