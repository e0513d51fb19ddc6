"""Recognises JSON files that are not the layers of a notebook, and says which file to load instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyrnn.checks.quoting import listed, quoted

EXPECTED = 'it should hold a list of layers, [{"type": "lstm" or "dense", "params": {...}}, ...]'
TRAINED = "load the file of the model that it was made of (.keras, .h5, .pt, .safetensors)"

Keys = dict[str, Any]


def _has(*names: str) -> Callable[[Keys], bool]:
    return lambda keys: all(name in keys for name in names)


def _has_one(*names: str) -> Callable[[Keys], bool]:
    return lambda keys: any(name in keys for name in names)


def _has_state_dict(keys: Keys) -> bool:
    return any(name.endswith(("weight_ih_l0", "weight_hh_l0")) for name in keys)


def _is_smart_amp(keys: Keys) -> bool:
    return any(isinstance(value, dict) and "kernel:0" in value for value in keys.values())


# Each entry has the test that recognises an object, and the sentence about it; the first match counts.
FOREIGN: tuple[tuple[Callable[[Keys], bool], str], ...] = (
    (
        _has_one("modelTopology", "weightsManifest"),
        "it is a model of TensorFlow.js; convert it with tensorflowjs_converter --output_format=keras, and load that",
    ),
    (
        _has("class_name", "config"),
        "it is the architecture of a Keras model, as model.to_json() gives it, without weights; save both with "
        'model.save("model.keras"), or make an nn.Sequential of the same layers and use '
        "pyrnn.io.keras.load_weights with the file of model.save_weights",
    ),
    (
        _has("model_data", "state_dict"),
        "it is a model of GuitarML (Proteus, NeuralPi, Chameleon), which pyrnn.load does not read; its recurrent "
        'layer is pyrnn.from_state_dict(json.load(open(path))["state_dict"], prefix="rec.", batch_first=True), and '
        '"lin." is a Linear behind it',
    ),
    (
        _has("in_shape", "layers"),
        f"it is a model of RTNeural (AIDA-X has the same form), which pyrnn.load does not read; {TRAINED}",
    ),
    (
        _has("architecture", "weights"),
        "it is a model of Neural Amp Modeler (NAM), which pyrnn.load does not read; load the checkpoint of its "
        "training (.ckpt, .pt) with pyrnn.load_state_dict",
    ),
    (
        _is_smart_amp,
        f"it is a model of SmartAmp, with Keras' arrays by layer, which pyrnn.load does not read; {TRAINED}",
    ),
    (
        _has("weight_map"),
        "it is the index of weights that Hugging Face keeps in several files; load the files that it names, "
        "model-00001-of-....safetensors and so on",
    ),
    (
        _has_one("architectures", "model_type", "transformers_version"),
        "it is the configuration of a Hugging Face model, without weights; load model.safetensors or "
        "pytorch_model.bin, which lies beside it",
    ),
    (_has_one("added_tokens", "tokenizer_class"), "it is a tokenizer, and no weights"),
    (
        _has_state_dict,
        "it is a state dict, and not the layers; make the layer of it: pyrnn.from_state_dict(json.load(open(path)))",
    ),
    (
        _has_one("dependencies", "devDependencies", "scripts"),
        "it is a package.json, which lists what a program of JavaScript needs, and no weights",
    ),
    (_has_one("irVersion", "opsetImport"), f"it is an ONNX model as JSON; {TRAINED.replace('.keras', '.onnx')}"),
)  # fmt: skip


def named(value: Any) -> str:
    """Returns the sentence about a JSON value that is not the expected list of layers."""
    if isinstance(value, str) and value.lstrip().startswith('{"class_name"'):
        # json.dump(model.to_json(), file) writes a JSON text within a JSON text.
        value = {"class_name": "", "config": {}}
    if isinstance(value, dict):
        sentence = next((sentence for recognised, sentence in FOREIGN if recognised(value)), "")
        return sentence or (f"it is an object with the keys {listed(value)}; {EXPECTED}" if value else EXPECTED)
    if isinstance(value, list):
        return f"it is a list that begins with {_kind(value[0])}; {EXPECTED}" if value else EXPECTED
    return f"it is {_kind(value)}; {EXPECTED}"


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return f"the text {quoted(value)}"
    if isinstance(value, dict) and value:
        return f"an object with the keys {listed(value)}"
    names = {bool: "true or false", float: "a number", list: "a list", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number")
