"""Implements the command line: `app` is the command and needs typer; `c_library` and `inspection` do not."""
