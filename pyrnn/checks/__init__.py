"""Checks what callers and files give, and refuses what is wrong. It imports NumPy and no part of pyrnn."""
