"""Reads and writes state dicts: .pt files without torch, .safetensors, .npz. It imports no layer."""
