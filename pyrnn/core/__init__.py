"""The recurrent layers on NumPy arrays: modules, cells, reverse mode, streams, traces, smaller weights."""
