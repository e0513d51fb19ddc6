"""Importing this before Keras makes Keras run on torch and write its settings into a temporary folder."""

from __future__ import annotations

import os
import tempfile

os.environ["KERAS_BACKEND"] = "torch"
os.environ["KERAS_HOME"] = tempfile.mkdtemp()
