"""`python -m pyrnn.bench` is `pyrnn bench`."""

import sys

from ..cli import main

main(["bench", *sys.argv[1:]])
