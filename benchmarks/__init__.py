"""`python -m benchmarks`, in a clone, measures pyrnn beside its peers, and compares it with the machine's limits.

run.py         runs the command; __main__.py: its options
grids/         a file for each grid of measurements
case.py        one line to measure; shapes.py: the sizes
measure.py     compares the results of contestants, then calls them in turn
peers/         a file for each library
roofline.py    the machine's limits, and the least time of a case
report.py      tables and JSON; chart.py, chart_growth.py: the pictures of --plot

Beside the suite stand scripts that compare versions and programs: compare_wheels.py (with rows.py, calls.py),
compare_programs.py (with programs/), compare_keras.py, and recurrent_ppo.py for sb3-contrib.
"""

import sys
from pathlib import Path

# `python -m` puts the clone first on sys.path, where its pyrnn/, without a compiled core, would hide the installed
# package. This sorts the clone to the end.
sys.path.sort(key=str(Path(__file__).parents[1]).__eq__)
