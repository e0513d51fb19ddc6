"""State dicts: what they are, and the files that hold them (.pt without torch, .safetensors, .npz). Knows no layer."""
