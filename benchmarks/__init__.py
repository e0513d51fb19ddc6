"""`python -m benchmarks`, in a clone: measures pyrnn beside its peers, and how near it is to what the machine can do.

run.py         what the command does; __main__.py: its options
grids/         what is measured: a file for each grid
case.py        one line to measure; shapes.py: the sizes
measure.py     contestants: compared, then called in turn
peers/         a file for each library
roofline.py    what the machine can do, and the least time of a case
report.py      tables and JSON; chart.py, chart_growth.py: the pictures of --plot

Beside the suite stand two scripts that compare versions and programs: compare_wheels.py (with rows.py, calls.py) and
compare_programs.py (with programs/).
"""

import sys
from pathlib import Path

# `python -m` puts the clone first on sys.path, and its folder pyrnn/ has no compiled core. Last, it hides no package.
sys.path.sort(key=str(Path(__file__).parents[1]).__eq__)
