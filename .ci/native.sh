# shellcheck shell=bash
# The stages of compilers and of programs that need no Python. .ci/run sources this file; it sets scratch.

packages() {
  if ! command -v apt-get >/dev/null || ((EUID != 0)); then
    echo "Without root on Debian the stages use the compilers and emulators that are installed."
    return
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends \
    g++ clang-19 libclang-rt-19-dev libomp5-19 g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user cmake ninja-build \
    binutils ccache git gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm gcc-riscv64-unknown-elf \
    picolibc-riscv64-unknown-elf qemu-system-misc gcc-mingw-w64-x86-64 wine64 tcc gcc-avr >"$scratch/apt.log"
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache
}

build() {  # build NAME CMAKE-OPTION...: the programs that need no Python
  local name=$1
  shift
  cmake -G Ninja -S . -B "$scratch/$name" -DPYRNN_PYTHON=OFF -DPYRNN_NATIVE_TESTS=ON "$@" >"$scratch/$name.log"
  cmake --build "$scratch/$name" >>"$scratch/$name.log" || { cat "$scratch/$name.log"; return 1; }
}

build_gcc() { build gcc -DPYRNN_C=ON -DCMAKE_INSTALL_LIBDIR=lib; }

build_clang() { build clang -DPYRNN_C=ON -DCMAKE_CXX_COMPILER=clang++-19; }

build_aarch64() {
  build aarch64 -DPYRNN_C=ON -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
    -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++
}

tables_alone() {  # tables_alone NAME: the objects of ISAs export their tables; all else might replace another ISA's
  local object strangers
  for object in "$scratch/$1"/CMakeFiles/isa_*.dir/csrc/isa/build.cpp.o; do
    nm --extern-only --defined-only "$object" >"$scratch/$1.symbols"
    grep -q ' _ZN5pyrnn[0-9]*isa_' "$scratch/$1.symbols"
    strangers=$(grep -vE ' _ZN5pyrnn[0-9]+(isa|inference)_[a-z0-9]+E$' "$scratch/$1.symbols" || true)
    [[ -z $strangers ]] || { printf '%s exports more than its tables:\n%s\n' "$object" "$strangers"; return 1; }
  done
}

hash_with() {  # hash_with NAME [RUNNER...]: the hashes of a build, equal to those of the first; and its exports
  local name=$1
  shift
  tables_alone "$name"
  PYRNN_THREADS=2 "$@" "$scratch/$name/hashes" >"$scratch/$name.txt"
  cut -d' ' -f2- "$scratch/$name.txt" | sort -u >"$scratch/$name.hashes"
  cmp "$scratch/gcc.hashes" "$scratch/$name.hashes"
  echo "$name: $(wc -l <"$scratch/$name.txt") results on $(cut -d' ' -f1 "$scratch/$name.txt" | uniq | xargs)," \
    "$(wc -l <"$scratch/$name.hashes") hashes, all the same"
}

same_bits() {
  build_gcc
  hash_with gcc
  build_clang
  hash_with clang
  build_aarch64
  hash_with aarch64 qemu-aarch64 -L /usr/aarch64-linux-gnu
}

one_hash() {
  local name
  pyrnn_installed
  build_gcc
  build_aarch64
  for name in gcc aarch64; do cmake --install "$scratch/$name" --prefix "$scratch/$name/installed" >/dev/null; done
  python tests/targets/one_hash.py --library "$scratch/gcc/installed" --aarch64 "$scratch/aarch64/installed"
}

sanitizers() {
  local debug=(-DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1")
  build asan -DPYRNN_SANITIZE=address,undefined "${debug[@]}"
  UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 PYRNN_THREADS=4 "$scratch/asan/hashes" >/dev/null
  build tsan -DPYRNN_SANITIZE=thread "${debug[@]}"
  PYRNN_THREADS=4 "$scratch/tsan/hashes" >/dev/null
}

clang() {  # the programs, and the library that CMake alone installs
  pyrnn_installed
  CC=clang-19 CXX=clang++-19 PYTEST_ADDOPTS="${strict:+--no-skips} --numprocesses=2 --dist=loadfile" \
    pytest tests/capi/test_programs.py tests/capi/test_installed.py
}
