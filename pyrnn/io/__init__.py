"""Reads models from files as layers, and writes them; keras, onnx and notebook each handle one format."""
