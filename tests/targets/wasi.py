"""Runs a program compiled for WASI: python tests/targets/wasi.py PROGRAM"""

from __future__ import annotations

import sys

import wasmtime

engine = wasmtime.Engine()
store, linker, config = wasmtime.Store(engine), wasmtime.Linker(engine), wasmtime.WasiConfig()
config.inherit_stdout()
store.set_wasi(config)
linker.define_wasi()
start = linker.instantiate(store, wasmtime.Module.from_file(engine, sys.argv[1])).exports(store)["_start"]
try:
    start(store)
except wasmtime.ExitTrap as ended:
    raise SystemExit(ended.code) from None
