# shellcheck shell=bash
# The stages that need Python. .ci/run sources this file; it sets scratch, and strict where a skipped test fails.

requirements() {  # requirements EXTRA: prints the extra's packages, line by line, without pyrnn itself
  python3 - "$1" <<'PYTHON'
import re, sys, tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
asked, extras = list(project["dependencies"]), [sys.argv[1]]
for extra in extras:
    for line in project["optional-dependencies"][extra]:
        own = re.match(r"pyrnn-cpu\[(.*)\]", line)
        asked += [] if own else [line]
        extras += own[1].split(",") if own else []
print(*dict.fromkeys(asked), sep="\n")
PYTHON
}

environment() {  # environment NAME [PYTHON]: activates a virtual environment, which it makes if there is none
  [[ -d $scratch/$1 ]] || "${2:-python3}" -m venv "$scratch/$1"
  # shellcheck disable=SC1091
  source "$scratch/$1/bin/activate"
}

readme_command() {  # readme_command N [OPTIONS]: runs the Nth line of README.md that starts with "pip install"
  local line
  line=$(grep '^pip install' README.md | sed -n "$1p")
  echo "\$ $line"
  PYTEST_ADDOPTS="${strict:+--no-skips} ${2:-}" bash -euo pipefail -c "$line"
}

one_pybind11() {  # each build by pip has another folder of its header, by which ccache would miss
  pip install -q "pybind11>=3.0"
  CMAKE_ARGS="-Dpybind11_DIR=$(python -m pybind11 --cmakedir)"
  export CMAKE_ARGS
}

pyrnn_is_installed=
pyrnn_installed() {  # activates the environment of most stages, and installs pyrnn and all extras once a run
  environment venv
  one_pybind11
  [[ -n $pyrnn_is_installed ]] || pip install -q ".[dev]"
  pyrnn_is_installed=1
}

style() {
  environment venv
  requirements dev | grep -E '^(clang-format|codespell|ruff|shellcheck)' | xargs -d '\n' pip install -q
  ruff check .
  ruff format --check benchmarks csrc docs examples pyrnn tests
  git ls-files '*.c' '*.cpp' '*.h' '*.hpp' | xargs clang-format --dry-run -Werror
  git ls-files | xargs codespell
  shellcheck -x .ci/run tests/fuzz/run.sh
}

types() {
  environment venv
  requirements test | xargs -d '\n' pip install -q
  mypy
}

demo() {
  environment demo  # has the packages of the demo's extra alone
  readme_command 1
}

tests() {
  environment venv
  one_pybind11
  readme_command 2 "--numprocesses=auto --maxprocesses=4 --dist=loadfile"  # a process with all frameworks takes 1 GB
}

python_of() {  # python_of VERSION: prints the first such Python that starts; pyenv's does for chosen versions only
  local found
  for found in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
    if "$found" -c "" 2>/dev/null; then
      echo "$found"
      return
    fi
  done
}

core() {
  local version python
  for version in 3.12 3.13; do
    python=$(python_of "$version")
    if [[ -z $python ]]; then
      echo "Python $version is not here: no core tests on it"
      continue
    fi
    (
      environment "core-$version" "$python"
      readme_command 3
    )
  done
}

new_cell() {  # the patch that adds a cell applies, the package builds, and the new cell agrees with its reference
  local copy=$scratch/new-cell isa=avx2
  [[ $(uname -m) == x86_64 ]] || isa=neon
  environment new-cell-venv
  rm -rf "$copy"
  mkdir "$copy"
  git ls-files --cached --others --exclude-standard | tar -c -T - | tar -x -C "$copy"
  (
    cd "$copy"
    GIT_CEILING_DIRECTORIES=$scratch git apply tests/helpers/new_cell.patch
    pip install -q -Ccmake.define.PYRNN_C=OFF -Ccmake.define.PYRNN_ONLY=$isa ".[test-core]"
    pytest tests/core/test_every_cell.py
  )
}

docs() {
  pyrnn_installed
  sphinx-build -q -W --keep-going -b html docs "$scratch/docs"  # not python -m: the clone's pyrnn has no compiled core
}

extras() {
  pyrnn_installed
  if pip list | grep -i nvidia; then
    echo "pip installed a CUDA build of torch: the extras must lead to the one for CPUs"
    return 1
  fi
}

targets() {
  pyrnn_installed
  python tests/targets/check.py
}

wheel() {
  environment venv
  one_pybind11
  rm -rf "$scratch/wheel"
  pip wheel -q --no-deps -w "$scratch/wheel" .
  local size
  size=$(stat -c %s "$scratch"/wheel/*.whl)
  echo "wheel: $size bytes"
  ((size < 3000000))
}

fuzz() {  # fuzz SECONDS: fuzzes the reader in C and those in Python at the same time, each on a core of its own
  local failed=0 c
  pyrnn_installed
  bash tests/fuzz/run.sh "$1" >"$scratch/fuzz_c.log" 2>&1 &
  c=$!
  python tests/fuzz/readers.py --seconds "$1" --jobs 1 || failed=1
  wait "$c" || failed=1
  tail -n 40 "$scratch/fuzz_c.log"
  ((failed == 0))
}

fuzzing() { fuzz 60; }

fuzzing_hour() { fuzz 3600; }
