#!/usr/bin/env bash
# The fuzzer of the reader of models: bash tests/fuzz/run.sh [SECONDS [FOLDER]]
# FOLDER keeps the build, the corpus and what failed from one run to the next. Needs clang-19, libclang-rt-19-dev, cmake,
# ninja, and a Python with pyrnn, which writes the first files of the corpus.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
folder=${2:-$(mktemp -d)}
mkdir -p "$folder/corpus" "$folder/failed"
cmake -G Ninja -S . -B "$folder/build" -DPYRNN_PYTHON=OFF -DPYRNN_C=ON -DPYRNN_FUZZ=ON -DPYRNN_ONLY=scalar \
  -DPYRNN_SANITIZE=address,undefined -DCMAKE_CXX_COMPILER=clang++-19 >"$folder/build.log"
cmake --build "$folder/build" --target fuzz_model >>"$folder/build.log" || { cat "$folder/build.log"; exit 1; }
PYTHONPATH=tests/helpers python3 -P tests/fuzz/corpus.py "$folder/corpus"
UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 \
  "$folder/build/csrc/capi/fuzz_model" -dict=tests/fuzz/model.dict -max_total_time="$seconds" -timeout=5 \
  -rss_limit_mb=1024 -malloc_limit_mb=64 -print_final_stats=1 -artifact_prefix="$folder/failed/" "$folder/corpus"
