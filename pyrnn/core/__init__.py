"""This folder holds the recurrent layers on NumPy arrays, their gradients, streams and traces, and smaller weights."""
