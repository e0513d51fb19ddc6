"""`python -m pyrnn.bench` is `pyrnn bench`."""

import sys

from pyrnn.cli.app import main

main(["bench", *sys.argv[1:]])
