"""`pyrnn bench`: measures pyrnn beside torch.nn in one process.

run.py        the command
measure.py    a case and its two contestants: compared, then called in turn
shapes.py     the sizes
layers.py     the layers on NumPy arrays beside torch.nn
drop_ins.py   the modules of pyrnn.torch beside torch.nn
report.py     tables and JSON
chart.py      the picture of --plot
"""
