"""Fuzzes the readers in Python: each damaged or hostile file is read in a watched process.

python tests/fuzz/readers.py --seconds 60                       all readers, in equal shares
python tests/fuzz/readers.py --seconds 300 --reader h5 --reader keras --folder out
python tests/fuzz/readers.py --reader h5 --folder out --input 1234      one input again, by its number

Input number k of a reader depends on --seed, the reader and k alone. The folder keeps failed inputs, under the names
of their readers and their numbers. A failure is: a process that dies; a reading that takes more than 5 s of the CPU;
memory beyond the budget of the file (pyrnn.checks.budget) and the overhead of the sound files; weights that differ
from one reading to the next; an exception that users should not see; a message that is longer than 2,000 letters or
that no terminal can print. The exit status is 1 if there was a failure.
"""

from __future__ import annotations

import os

os.environ |= {"PYRNN_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # a fork keeps one thread

import argparse
import itertools
import pickle
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # Python does so itself unless PYTHONSAFEPATH is set
from mutations import blind, changed_json, changed_safetensors, changed_zip
from protobuf import changed_protobuf
from watched import Watch, peak, reset_peak

import pyrnn
from pyrnn.checks.budget import Budget

LARGEST_SEED = 1 << 16  # bytes; larger files are mostly arrays of weights
LONGEST = 2000  # letters of a message
ALLOWED = (ValueError, TypeError, RuntimeError, FileNotFoundError)
HIDDEN = (RecursionError, UnicodeError)  # subclasses of these that Python raises, not pyrnn
BATCH = 50  # inputs of one child
KEPT = 3  # files of each kind of failure
ALLOCATOR = 1 << 20  # bytes that malloc may hold and not hand out


@dataclass(frozen=True)
class Seed:
    """A sound file; for weights alone also a pickle of their model and of the argument recurrent_activation."""

    name: str
    data: bytes
    beside: bytes = b""


@dataclass(frozen=True)
class Reader:
    """The calls that read files of a format, and the mutation that parses it."""

    calls: tuple[Callable[[Path, Seed], Any], ...]
    mutate: Callable[[bytes, Random], bytes]


def read_arrays(path: Path, seed: Seed) -> Any:
    return pyrnn.load_state_dict(path)


def read_model(path: Path, seed: Seed) -> Any:
    return pyrnn.load(path).state_dict()


def read_weights(path: Path, seed: Seed) -> Any:
    from pyrnn.io.keras import load_weights

    model, recurrent_activation = pickle.loads(seed.beside)
    load_weights(path, model, recurrent_activation=recurrent_activation)
    return model.state_dict()


def changed_weights(data: bytes, random: Random) -> bytes:
    return (changed_zip if data.startswith(b"PK") else blind)(data, random)


READERS = {
    "pt": Reader((read_arrays, read_model), changed_zip),
    "npz": Reader((read_arrays, read_model), changed_zip),
    "safetensors": Reader((read_arrays, read_model), changed_safetensors),
    "json": Reader((read_model,), changed_json),
    "h5": Reader((read_model,), blind),
    "keras": Reader((read_model,), changed_zip),
    "onnx": Reader((read_model,), changed_protobuf),
    "weights": Reader((read_weights,), changed_weights),
}


# -- one input ---------------------------------------------------------------------------------------------


def made(reader: str, seeds: list[Seed], number: int, start: int) -> tuple[Seed, bytes]:
    """Makes an input, and returns it with the sound file that it comes from."""
    random = Random(f"{start} {reader} {number}")
    seed = random.choice(seeds)
    data = seed.data
    if random.random() < 0.05:
        other = random.choice(seeds).data
        data = data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other)) :]
    if random.random() < 0.65:
        data = READERS[reader].mutate(data, random)
    if data == seed.data or random.random() < 0.25:
        data = blind(data, random)
    return seed, data


def outcome(call: Callable[[Path, Seed], Any], path: Path, seed: Seed, allowed: int) -> str:
    """ "loaded", the kind of the exception, or "FAILURE" and its description."""
    before = reset_peak()
    try:
        found = call(path, seed)
    except ALLOWED as error:
        wrong, said = wrong_with(error), type(error).__name__
    except MemoryError as error:  # the child has 2 GB more than its parent
        wrong, said = f"memory: MemoryError {error}", ""
    except Exception as error:
        wrong, said = f"{type(error).__name__} {error}"[:300], ""
    else:
        wrong, said = "", "loaded"
    taken = peak() - before
    if taken > allowed:
        wrong = wrong or f"memory: it took {taken >> 20} MiB, and may take {allowed >> 20}"
    if not wrong and said == "loaded" and bits(found) != bits(call(path, seed)):
        wrong = "the weights differ from one reading to the next"
    return f"FAILURE {wrong}" if wrong else said


def wrong_with(error: Exception) -> str:
    """The fault of an exception of an allowed kind, or ""."""
    text = "\n".join([str(error), *getattr(error, "__notes__", [])])
    if isinstance(error, HIDDEN):
        return f"{type(error).__name__} {text[:200]}"
    if len(text) > LONGEST:
        return f"a message of {len(text)} letters: {text[:100]!a}"
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return f"a message that cannot be printed: {text[:300]!a}"
    return "" if text.strip() else f"{type(error).__name__} without a word"


def bits(tree: Any) -> Any:
    """A tree of arrays as bytes, for comparisons."""
    if isinstance(tree, dict):
        return [(repr(name), bits(value)) for name, value in tree.items()]
    if isinstance(tree, (list, tuple)):
        return [bits(value) for value in tree]
    return tree.tobytes() if hasattr(tree, "tobytes") else repr(tree)


# -- a campaign --------------------------------------------------------------------------------------------


class Campaign:
    """Fuzzes one reader.

    Args:
        name: the reader's name.
        folder: keeps its sound files and the failed inputs.
        start: the seed of all inputs.
    """

    def __init__(self, name: str, folder: Path, start: int) -> None:
        self.name, self.start, self.reader = name, start, READERS[name]
        self.failed = folder / "failed"
        self.failed.mkdir(parents=True, exist_ok=True)
        self.seeds = seeds(name, folder / "seeds" / name)
        self.counts: Counter[str] = Counter()
        self.failures: dict[str, list[int]] = defaultdict(list)
        self._scratch = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self._besides = ALLOCATOR

    def path(self, seed: Seed) -> Path:
        """The path of this process' inputs, with the suffix of the sound file."""
        folder = self._scratch / str(os.getpid())
        folder.mkdir(exist_ok=True)
        return folder / f"input{''.join(Path(seed.name).suffixes)}"

    def read(self, number: int) -> str:
        """Reads an input by all calls, and returns the first failure or the first outcome."""
        seed, data = made(self.name, self.seeds, number, self.start)
        path = self.path(seed)
        path.write_bytes(data)
        allowed = Budget(len(data)).total + self._besides
        said = [outcome(call, path, seed, allowed) for call in self.reader.calls]
        return next((text for text in said if text.startswith("FAILURE")), said[0])

    def warm_up(self) -> None:
        """Reads the sound files, once to import all modules before forks, and once to measure their memory."""
        for watched in (False, True):
            for seed in self.seeds:
                path = self.path(seed)
                path.write_bytes(seed.data)
                before = reset_peak()
                self._read_sound(path, seed)
                if watched:
                    self._besides = max(self._besides, peak() - before)

    def _read_sound(self, path: Path, seed: Seed) -> None:
        for call in self.reader.calls:
            try:
                call(path, seed)
            except ALLOWED as error:
                if call is self.reader.calls[0]:
                    raise RuntimeError(f"the sound file {seed.name} is refused") from error

    def run(self, seconds: float, jobs: int) -> None:
        """Fuzzes for `seconds`, and prints a summary every 10 s."""
        self.warm_up()
        end, self._said = time.monotonic() + seconds, time.monotonic()

        def batches() -> Iterator[range]:
            for first in itertools.count(step=BATCH):
                if time.monotonic() >= end:
                    return
                yield range(first, first + BATCH)

        Watch(self.read, self.report, jobs).run(batches())
        subprocess.run(["rm", "-rf", self._scratch], check=True)

    def report(self, number: int, text: str) -> None:
        """Counts an outcome, and keeps the input if it is a failure."""
        kind = re.sub(r"\d+", "#", text)[:120] if text.startswith("FAILURE") else text
        self.counts["FAILURE" if kind != text or text.startswith("FAILURE") else text] += 1
        if text.startswith("FAILURE"):
            self.failures[kind].append(number)
            if len(self.failures[kind]) <= KEPT:
                seed, data = made(self.name, self.seeds, number, self.start)
                (self.failed / f"{self.name}-{self.start}-{number}-{seed.name}").write_bytes(data)
                print(f"{self.name} {number}, from {seed.name}: {text}", flush=True)
        if time.monotonic() > self._said + 10:
            self._said = time.monotonic()
            print(self.summary(), flush=True)

    def summary(self) -> str:
        """A line that counts the outcomes of all inputs."""
        parts = [f"{kind} {count:,}" for kind, count in self.counts.most_common()]
        return f"{self.name}: {self.counts.total():,} inputs: {', '.join(parts)}"


def seeds(name: str, folder: Path) -> list[Seed]:
    """The sound files of a reader; they are written by another process unless they are there."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        command = [sys.executable, str(Path(__file__).with_name("seeds.py")), name, str(folder)]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix != ".pickle" and path.stat().st_size <= LARGEST_SEED:
            beside = Path(f"{path}.pickle")
            found.append(Seed(path.name, path.read_bytes(), beside.read_bytes() if beside.is_file() else b""))
    return found


def main() -> int:
    """Fuzzes, and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of all readers together")
    parser.add_argument("--reader", action="append", choices=list(READERS), help="repeatable; all if it is not given")
    parser.add_argument("--folder", type=Path, help="keeps the sound files and what fails")
    parser.add_argument("--seed", type=int, default=0, help="other numbers make other inputs")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--input", type=int, help="reads this input of the reader alone, in this process")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    folder = options.folder or Path(tempfile.mkdtemp())
    names = options.reader or list(READERS)
    campaigns = []
    for name in names:
        campaign = Campaign(name, folder, options.seed)
        if options.input is not None:
            campaign.warm_up()
            print(campaign.read(options.input))
            continue
        campaign.run(options.seconds / len(names), options.jobs)
        campaigns.append(campaign)
    if options.input is not None:
        return 0
    for campaign in campaigns:
        print(campaign.summary())
        for kind, numbers in campaign.failures.items():
            print(f"    {len(numbers)} times, as {numbers[0]}: {kind}")
    failed = sum(campaign.counts["FAILURE"] for campaign in campaigns)
    print(f"{failed} failures; their inputs lie in {folder / 'failed'}" if failed else "no failure")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
