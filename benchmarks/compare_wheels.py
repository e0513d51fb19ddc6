"""Is a change as fast as what was there before? Two versions of pyrnn, row by row of the bench, in fresh processes.

python benchmarks/compare_wheels.py 7952a04 .                      a revision, and the working tree
python benchmarks/compare_wheels.py old.whl new.whl --json it.json
python benchmarks/compare_wheels.py 7952a04 . --row "stream GRU 64" --row "fit LSTM"
python benchmarks/compare_wheels.py 7952a04 . --count "stream GRU 64"

A version is a wheel, a folder with a checkout, or a revision of this repository. Each gets a virtual environment of
its own, which sees the packages of the Python that runs this script: NumPy, and torch for the rows about torch. The
script itself needs rich; building a wheel needs what pyrnn's build needs; --count needs valgrind.

A round starts one process for each version, on the same CPU. The two take turns at each row, so that the machine's
state is the same for both; a process keeps its best turn. The ratio of a row is the median over the rounds of
old time / new time: above 1 the new version is faster. "spread" is the width of the middle half of these ratios, the
noise of the machine.

The verdict: the geometric mean of the ratios is at least 0.99 in each run, and no row is under 0.95 in all runs. Two
runs are made, of seven rounds each, and the exit status says whether the verdict is good. A row that is under 0.95 in
one run is doubtful: --count ROW settles it. It counts the instructions of a call in both versions, under valgrind,
with PYRNN_ISA=avx2, as valgrind knows no AVX-512.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

HERE = Path(__file__).parent
MEAN, LEAST = 0.99, 0.95  # least values of the geometric mean of all ratios, and of a single ratio
COUNTED_SECONDS = 0.02  # time of the calls under --count; it outweighs the 300,000 instructions that start callgrind
TURNS = 3  # turns of each process at a row, in the order old new, new old, old new


@dataclass(frozen=True)
class Row:
    """The measurements of a row in one run.

    Attributes:
        name: the row's name.
        old_us: microseconds of a call, by round.
        new_us: the same of the new version.
    """

    name: str
    old_us: list[float]
    new_us: list[float]

    @property
    def ratios(self) -> list[float]:
        """Old time / new time, by round."""
        return [old / new for old, new in zip(self.old_us, self.new_us, strict=True)]

    @property
    def ratio(self) -> float:
        """Their median."""
        return statistics.median(self.ratios)

    @property
    def spread(self) -> float:
        """The distance of the quartiles of the ratios; 0 for one round."""
        if len(self.ratios) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.ratios, method="inclusive")
        return high - low


def verdict(runs: Sequence[Sequence[Row]]) -> tuple[bool, list[str]]:
    """Whether the new version is as fast in these runs, and the reasons in sentences."""
    means = [statistics.geometric_mean(row.ratio for row in run) for run in runs]
    slow = [{row.name for row in run if row.ratio < LEAST} for run in runs]
    always = set.intersection(*slow)
    says = []
    for number, mean in enumerate(means, 1):
        comparison = "at least" if mean >= MEAN else "less than"
        says.append(f"Run {number}: the geometric mean is {mean:.4f}, {comparison} {MEAN}.")
    for name in sorted(set.union(*slow)):
        ratios = ", ".join(f"{row.ratio:.3f}" for run in runs for row in run if row.name == name)
        doubt = "" if name in always and len(runs) > 1 else f' It is doubtful: settle it by --count "{name}".'
        says.append(f"{name} is under {LEAST}: {ratios}.{doubt}")
    good = min(means) >= MEAN and not always
    if good:
        says.append("The new version is as fast as the old one.")
    elif len(runs) == 1 and means[0] >= MEAN:
        says.append("One run does not settle it.")
    else:
        says.append("The new version is slower.")
    return good, says


# -- wheels and environments --------------------------------------------------------------------------------


def run(*command: str | Path, **options: Any) -> str:
    """Runs a command and returns its output; if it fails, prints the output and raises CalledProcessError."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **options)
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        done.check_returncode()
    return done.stdout


def wheel(version: str, folder: Path) -> Path:
    """The wheel of a version, which is built in `folder` unless the version is a wheel."""
    given = Path(version)
    if given.suffix == ".whl":
        return given
    source = given
    if not (given / "pyproject.toml").is_file():
        source = folder / "source"
        commit = run("git", "-C", HERE, "rev-parse", "--verify", f"{version}^{{commit}}").strip()
        run("git", "-C", HERE.parent, "archive", "-o", folder / "source.tar", commit)
        with tarfile.open(folder / "source.tar") as archive:
            archive.extractall(source, filter="data")
    here = ["--no-build-isolation"] if find_spec("scikit_build_core") and find_spec("pybind11") else []
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", *here, "-w", folder, source)
    return next(folder.glob("*.whl"))


def environment(built: Path, folder: Path) -> Path:
    """The Python of a new virtual environment that has the wheel, and sees the packages of this Python."""
    venv.create(folder)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", f"--python={python}", "install", "-q", "--no-deps", built)
    own = next(folder.glob("lib/python*/site-packages"))
    seen = [path for path in sys.path if path.endswith("-packages")]
    (own / "seen.pth").write_text("\n".join(seen))
    place = run(python, "-P", "-c", "import pyrnn; print(pyrnn.__file__)").strip()
    if Path(place).parents[1] != own:
        raise RuntimeError(f"the environment should import pyrnn from {own}, got {place}")
    return python


# -- measuring ---------------------------------------------------------------------------------------------


class Timer:
    """A process of rows.py that times rows."""

    def __init__(self, python: Path, cpu: int) -> None:
        environ = {**os.environ, "PYRNN_THREADS": "1", "PYTHONHASHSEED": "0"}
        command = [python, "-P", HERE / "rows.py", str(cpu)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environ
        )
        self.rows: list[str] = json.loads(self._line())

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process that times the rows ended with status {self._process.wait()}")
        return line

    def us(self, row: str, seconds: float) -> float:
        """Microseconds of a call, the best of `seconds`."""
        assert self._process.stdin
        self._process.stdin.write(f"{seconds} {row}\n")
        return float(self._line())

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin
        with self._process:  # closes the other pipe, and waits for the process
            self._process.stdin.close()


def chosen(rows: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The rows whose names contain one of `wanted`; all if there is none."""
    found = [row for row in rows if not wanted or any(part in row for part in wanted)]
    if not found:
        raise SystemExit(f"no row has {' or '.join(wanted)} in its name; the rows are:\n" + "\n".join(rows))
    return found


def measured(pythons: Sequence[Path], options: argparse.Namespace, progress: Progress, title: str) -> list[Row]:
    """Measures all rows in all rounds of one run."""
    found: dict[str, Row] = {}
    task = progress.add_task(title, total=None)
    for round in range(options.rounds):
        timers = [Timer(python, options.cpu) for python in pythons]
        common = [row for row in timers[0].rows if row in timers[1].rows]
        names = chosen(common, options.row)
        progress.update(task, total=len(names) * options.rounds)
        for name in names:
            progress.update(task, description=f"{title}, round {round + 1}: {name}")
            row = found.setdefault(name, Row(name, [], []))
            best = [float("inf")] * 2
            for turn in range(TURNS):
                order = (0, 1) if (turn + round) % 2 == 0 else (1, 0)
                for which in order:
                    best[which] = min(best[which], timers[which].us(name, options.seconds / TURNS))
            row.old_us.append(best[0])
            row.new_us.append(best[1])
            progress.advance(task)
        for timer in timers:
            timer.close()
    return list(found.values())


def instructions(python: Path, row: str, options: argparse.Namespace) -> float:
    """Instructions of a call: the difference between many calls and none, divided by their number."""
    timer = Timer(python, options.cpu)
    if row not in timer.rows:
        raise SystemExit(f'no row has the name "{row}"; the rows are:\n' + "\n".join(timer.rows))
    calls = max(2, round(COUNTED_SECONDS * 1e6 / timer.us(row, options.seconds)))
    timer.close()
    environ = {**os.environ, "PYRNN_THREADS": "1", "PYRNN_ISA": "avx2", "PYTHONHASHSEED": "0"}
    valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null"]
    counts = []
    for number in (0, calls):
        text = run(*valgrind, python, "-P", HERE / "rows.py", str(options.cpu), str(number), row, env=environ)
        found = re.search(r"Collected : (\d+)", text)
        if not found:
            raise RuntimeError(f"callgrind should have said how many events it collected, got {text[-500:]}")
        counts.append(int(found[1]))
    return (counts[1] - counts[0]) / calls


# -- output ------------------------------------------------------------------------------------------------


def table(runs: Sequence[Sequence[Row]]) -> Table:
    """A table of all rows, with the medians of the last run and the ratios of all runs."""
    shown = Table(title="old time / new time; under 1 the new version is slower")
    shown.add_column("row")
    for heading in ("old µs", "new µs", *(h for i in range(len(runs)) for h in (f"ratio {i + 1}", "spread"))):
        shown.add_column(heading, justify="right")
    for row in runs[-1]:
        times = [f"{statistics.median(us):.2f}" for us in (row.old_us, row.new_us)]
        both = [other for run in runs for other in run if other.name == row.name]
        ratios = [text for other in both for text in (f"{other.ratio:.3f}", f"{other.spread:.3f}")]
        style = "red" if any(other.ratio < LEAST for other in both) else None
        shown.add_row(row.name, *times, *ratios, style=style)
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares, and returns the exit status: 0 if the new version is as fast, 1 if not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", help="a wheel, a folder with a checkout, or a revision")
    parser.add_argument("new", help="the same")
    parser.add_argument("--row", action="append", default=[], help="only rows whose names contain this; repeatable")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.1, help="of each version at a row in a round")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)), help="the CPU to run on")
    parser.add_argument("--json", type=Path, help="where to write all times")
    parser.add_argument("--count", metavar="ROW", help="count the instructions of this row instead")
    options = parser.parse_args(arguments)
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        pythons = []
        for side in ("old", "new"):
            version, folder = getattr(options, side), Path(scratch) / side
            folder.mkdir()
            console.print(f"{side}: {version}")
            pythons.append(environment(wheel(version, folder), folder / "venv"))
        if options.count:
            old, new = (instructions(python, options.count, options) for python in pythons)
            console.print(f"{options.count}: {old:,.0f} instructions a call, now {new:,.0f}; ratio {old / new:.4f}")
            return 0 if old / new >= LEAST else 1
        columns = TextColumn("{task.description}"), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=console) as progress:
            runs = [measured(pythons, options, progress, f"run {i + 1}") for i in range(options.runs)]
    good, says = verdict(runs)
    console.print(table(runs))
    print(*says, sep="\n")
    if options.json:
        rows = [[{**asdict(row), "ratio": row.ratio, "spread": row.spread} for row in run] for run in runs]
        facts = {"old": options.old, "new": options.new, "good": good, "verdict": says, "runs": rows}
        options.json.write_text(json.dumps(facts, indent=1))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
