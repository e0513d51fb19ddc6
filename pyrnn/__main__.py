"""`python -m pyrnn` is the command `pyrnn`."""

from .cli import main

main()
