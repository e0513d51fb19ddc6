"""Models in files, as layers and back: keras, onnx, notebook are a module each; loading tells them apart."""
