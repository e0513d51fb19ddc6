"""Reads models from files as layers, and writes them: keras, onnx and notebook have a format each, loading chooses."""
