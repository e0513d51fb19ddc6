"""torch's own threads run the drop-ins, as many as torch.set_num_threads says, with the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")


# Training steps, whose outputs and gradients become bytes. After the Linear torch's workers spin for more work; its
# result depends on the number of threads and is not used.
PROGRAM = """
import os, sys, threading
import torch
from torch import nn
import pyrnn, pyrnn.torch
from pyrnn import _core

ROUNDS = 200
torch.manual_seed(0)
x = torch.randn(32, 16, 24)
NAMES = ("LSTM", "GRU", "RNN")
linear = nn.Linear(24, 24)
models = {name: getattr(pyrnn.torch, name)(24, 96) for name in NAMES}

def step(name):
    model = models[name]
    model.zero_grad()
    linear(x).sum().backward()
    y = model(x)[0]
    y.square().sum().backward()
    return y.detach().numpy().tobytes() + b"".join(p.grad.numpy().tobytes() for p in model.parameters())

torch.set_num_threads(1)
expected = {name: step(name) for name in models}

def rounds(count=ROUNDS):
    wrong = 0
    for i in range(count):
        name = NAMES[i % 3]
        wrong += step(name) != expected[name]
    return wrong
"""

CHANGED = """
wrong = 0
for i in range(ROUNDS):
    torch.set_num_threads((1, 2, 4, 3)[i % 4])
    wrong += rounds(1)
print("wrong:", wrong)
"""

FORK = """
torch.set_num_threads(2)
assert rounds(3) == 0  # torch's team is there
failed = 0
for i in range(ROUNDS):
    child = os.fork()
    if not child:
        # torch's own operations would wait for ever in the child, as its DataLoader knows
        layer = models["LSTM"]
        with torch.no_grad():
            os._exit(layer(x)[0].numpy().tobytes() != alone)
    failed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
print("wrong:", failed)
"""
FORK = 'with torch.no_grad(): alone = models["LSTM"](x)[0].numpy().tobytes()' + FORK

THREADS = """
torch.set_num_threads(2)
wrong = []
with torch.no_grad():
    alone = {name: models[name](x)[0].numpy().tobytes() for name in models}
def ask(name):
    with torch.no_grad():
        for _ in range(ROUNDS // 4):
            wrong.append(models[name](x)[0].numpy().tobytes() != alone[name])
threads = [threading.Thread(target=ask, args=(name,)) for name in ("LSTM", "GRU", "RNN", "LSTM")]
for each in threads: each.start()
for each in threads: each.join()
print("wrong:", sum(wrong) + (len(wrong) != ROUNDS))
"""

LOADER = """
from torch.utils.data import DataLoader, Dataset
class Made(Dataset):
    def __len__(self):
        return 24
    def __getitem__(self, i):  # in a worker, which forked after a training step
        with torch.no_grad():
            return models["GRU"](x)[0]
if __name__ == "__main__":
    with torch.no_grad():
        alone = models["GRU"](x)[0]
    torch.set_num_threads(2)
    wrong = rounds(3)
    for epoch in range(5):
        for batch in DataLoader(Made(), batch_size=2, num_workers=2):
            wrong += not all(torch.equal(one, alone) for one in batch)
            wrong += rounds(4)
    print("wrong:", wrong)
"""

SPAWN = """
import torch.multiprocessing as mp
def work(i):
    torch.set_num_threads(2)
    sys.exit(rounds(50))
if __name__ == "__main__":
    torch.set_num_threads(2)
    wrong = rounds(3)
    mp.spawn(work, nprocs=4)  # raises if one fails
    print("wrong:", wrong)
"""

CASES = {"changed": CHANGED, "fork": FORK, "threads": THREADS, "loader": LOADER, "spawn": SPAWN}


def run(code: str, tmp_path: Path, **environment: str) -> str:
    """Runs a program and returns its output; a deadlock raises TimeoutExpired."""
    path = tmp_path / "program.py"
    path.write_text(code)
    command, environ = [sys.executable, str(path)], os.environ | environment
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", CASES)
def test_torchs_threads_give_the_same_bits(name: str, tmp_path: Path) -> None:
    assert run(PROGRAM + CASES[name], tmp_path) == "wrong: 0\n"


USED = """
def tasks():
    return len(os.listdir("/proc/self/task"))
torch.set_num_threads({threads})
torch.mm(torch.randn(600, 600), torch.randn(600, 600))  # torch starts its team
before = tasks()
assert rounds(30) == 0
print(before, tasks())
"""


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_no_thread_is_started_beside_torchs_own(threads: int, tmp_path: Path) -> None:
    before, after = map(int, run(PROGRAM + USED.replace("{threads}", str(threads)), tmp_path).split())
    assert after == before


LLVM = next(iter(sorted(map(str, Path("/usr/lib").rglob("libomp.so.*")))), None)
OTHER_TEAM = """
import ctypes
library = ctypes.CDLL({library!r})  # LLVM's, in place of torch's
assert _core.follow_host({library!r}, torch.get_num_threads)
torch.set_num_threads(2)
print("wrong:", rounds(60))
"""


@pytest.mark.skipif(LLVM is None, reason="Debian's libomp5-19, LLVM's OpenMP library, is not installed")
def test_threads_of_llvms_openmp_library_give_the_same_bits(tmp_path: Path) -> None:
    assert run(PROGRAM + OTHER_TEAM.format(library=LLVM), tmp_path) == "wrong: 0\n"


# The child draws nothing of x's size: torch's own large operations, even torch.zeros, would wait for ever there.
IMPORTED_IN_A_CHILD = """
import hashlib, os, signal, torch
{before}
torch.set_num_threads(2)
torch.mm(torch.randn(600, 600), torch.randn(600, 600))  # torch starts its team
x = torch.randn(100, 8, 64)

def digest():
    import pyrnn.torch
    torch.manual_seed(0)
    layer = pyrnn.torch.LSTM(64, 128)
    with torch.no_grad():
        return hashlib.sha256(layer(x)[0].numpy().tobytes()).digest()

read, write = os.pipe()
if not (child := os.fork()):
    signal.alarm(60)  # ends a child that hangs
    os.write(write, digest())
    os._exit(0)
failed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print("wrong:", failed or int(os.read(read, 32) != digest()))
"""


@pytest.mark.parametrize("before", ["", "import pyrnn"], ids=["nothing", "pyrnn"])
def test_a_forked_child_may_be_the_first_to_import_the_drop_ins(before: str, tmp_path: Path) -> None:
    assert run(IMPORTED_IN_A_CHILD.replace("{before}", before), tmp_path) == "wrong: 0\n"
