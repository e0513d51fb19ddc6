"""Writes the sound files that readers.py mutates: small models in every format, by pyrnn, torch, Keras and ONNX.

python tests/fuzz/seeds.py READER FOLDER
"""

from __future__ import annotations

import json
import pickle
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))  # the helpers of the tests

import pyrnn
from pyrnn import nn


def layers() -> dict[str, Any]:
    return {
        "rnn": pyrnn.RNN(2, 3, nonlinearity="relu", seed=0),
        "lstm": pyrnn.LSTM(2, 3, num_layers=2, bidirectional=True, seed=0),
        "proj": pyrnn.LSTM(2, 3, proj_size=2, bias=False, dtype=np.float64, seed=0),
        "gru": pyrnn.GRU(2, 3, reset_after=False, batch_first=True, seed=0),
    }


def networks() -> dict[str, nn.Sequential]:
    gru, head = pyrnn.GRU(2, 3, batch_first=True, seed=0), nn.LastStep(batch_first=True)
    convolution = nn.ChannelsLast(nn.Conv1d(2, 4, 3, padding="same", dilation=2, seed=0))
    words = nn.Sequential(nn.Embedding(5, 2, mask_zero=True, seed=0), pyrnn.LSTM(2, 3, batch_first=True, seed=0))
    return {
        "gru": nn.Sequential(gru, head, nn.Linear(3, 2, seed=0)),
        "words": nn.Sequential(words, nn.LastStep(batch_first=True), nn.Softmax()),
        "conv": nn.Sequential(convolution, nn.ReLU(), nn.LayerNorm(4), nn.Linear(4, 2, seed=0), nn.Activation("elu")),
        "both": nn.Sequential(nn.Bidirectional(pyrnn.LSTM(2, 3, batch_first=True, seed=0)), nn.Flatten()),
    }


def pt(folder: Path) -> None:
    import torch
    from weights_files import SOUND, torch_file

    for name, layer in layers().items():
        pyrnn.save_state_dict(layer.state_dict(), folder / f"{name}.pt")
    module = torch.nn.Sequential(torch.nn.LSTM(2, 3), torch.nn.Linear(3, 2))
    optimizer = torch.optim.Adam(module.parameters())
    checkpoint = {
        "state_dict": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": 3,
        "lr": [1e-3, None],
    }
    torch.save(checkpoint, folder / "checkpoint.pt")
    torch.save(module.state_dict(), folder / "torch.pt")
    torch.save({"half": torch.ones(3, 2).bfloat16(), "view": torch.arange(12.0)[::2]}, folder / "views.pt")
    torch_file(folder, SOUND)


def npz(folder: Path) -> None:
    for name, layer in layers().items():
        pyrnn.save_state_dict(layer.state_dict(), folder / f"{name}.npz")
        np.savez_compressed(folder / f"{name} compressed.npz", **layer.state_dict())


def safetensors(folder: Path) -> None:
    from capi_models import MODELS, saved

    for name, layer in layers().items():
        pyrnn.save_state_dict(layer.state_dict(), folder / f"{name}.safetensors")
    for name, network in networks().items():
        network.save(folder / f"{name} network.safetensors")
    networks()["gru"].quantize("bf16").save(folder / "quantized network.safetensors")
    for name, layer in {**layers(), "cell": pyrnn.LSTMCell(2, 3, seed=0), "linear": nn.Linear(2, 3, seed=0)}.items():
        layer.save(folder / f"{name} alone.safetensors")
    layers()["lstm"].quantize("int8").save(folder / "quantized alone.safetensors")
    for name in MODELS:
        _, path = saved(name, folder)
        path.rename(folder / f"of C, {name}.safetensors")


def notebooks(folder: Path) -> None:
    from notebooks import dense, lstm

    for name, entries in {"one": [lstm(2, 3)], "stack": [lstm(2, 3), lstm(3, 2, column=True), dense(2, 2)]}.items():
        (folder / f"{name}.json").write_text(json.dumps(entries))
    (folder / "all steps.json").write_text(json.dumps([lstm(2, 2) | {"return_sequences": True}, dense(2, 1)]))


def keras_models(folder: Path, suffix: str) -> None:
    from keras_files import built, described, images, keras2_file, sequences
    from keras_layers import AROUND, BIDIRECTIONAL, ON_IMAGES, RECURRENT

    chosen = {name: RECURRENT[name] for name in ("rnn, last", "lstm, all", "gru, last", "stack")}
    chosen |= {name: BIDIRECTIONAL[name] for name in ("gru, concat, last", "two kinds")}
    chosen |= {name: AROUND[name] for name in ("dense", "time distributed", "conv", "batch norm", "moves")}
    for name, make in chosen.items():
        built(make(), sequences()).save(folder / f"{name}.{suffix}")
    built(ON_IMAGES["norm"](), images()).save(folder / f"images.{suffix}")
    if suffix == "h5":
        dense = [described("Dense", "out", units=2)]
        keras2_file(folder / "old.h5", dense, {"out/out/kernel:0": np.ones((3, 2)), "out/out/bias:0": np.ones(2)})


def weights(folder: Path) -> None:
    """Writes beside each file a pickle of the pyrnn model that it is for, and of recurrent_activation."""
    from keras_files import built, sequences
    from keras_pairs import PAIRS, saved

    for case, (theirs, ours) in PAIRS.items():
        gates = "sigmoid" if case in ("lstm", "gru", "bidirectional", "time distributed") else None
        for suffix in (".weights.h5", ".h5"):
            saved(folder / f"{case}{suffix}", theirs(), sequences())
            beside = pickle.dumps((nn.Sequential(*ours()).eval(), gates))
            (folder / f"{case}{suffix}.pickle").write_bytes(beside)
        full = folder / f"{case}.keras"
        built(theirs(), sequences()).save(full)
        Path(f"{full}.pickle").write_bytes(pickle.dumps((pyrnn.load(full), None)))


def onnx(folder: Path) -> None:
    import torch
    from onnx_models import weights as of_node
    from onnx_models import write
    from onnx_of_torch import MODELS, export

    from pyrnn.io.onnx import save

    for name, network in networks().items():
        if name != "words":
            save(network, folder / f"{name}.onnx")
    for name, make in MODELS.items():
        torch.manual_seed(0)
        export(make().eval(), folder / f"torch, {name}.onnx", dynamo=False)
    body = "(float[t,b,3] x) => (float[t,d,b,5] y) { y = LSTM<hidden_size=5>(x, w, r, b) }"
    write(folder / "node.onnx", body, of_node(4))


WRITERS: dict[str, Callable[[Path], None]] = {
    "pt": pt,
    "npz": npz,
    "safetensors": safetensors,
    "json": notebooks,
    "h5": lambda folder: keras_models(folder, "h5"),
    "keras": lambda folder: keras_models(folder, "keras"),
    "weights": weights,
    "onnx": onnx,
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")  # Keras and torch warn of themselves
    WRITERS[sys.argv[1]](Path(sys.argv[2]))
