"""`pyrnn bench`: measures pyrnn beside its peers in one process, and how near it is to what the machine can do.

run.py         the command
grid.py        what every grid is given and gives
sequences.py   the grids infer and train: layers on NumPy arrays beside every peer
streaming.py   stream: one step, from C++ and from Python
formats.py     quantize: smaller weights beside float32
drop_ins.py    torch: the modules of pyrnn.torch beside torch.nn
cold_start.py  load: fresh processes
growth.py      growth: time against size
case.py        one line to measure; shapes.py: the sizes
measure.py     contestants: compared, then called in turn
peers/         a file for each library
roofline.py    what the machine can do, and the least time of a case
report.py      tables and JSON; chart.py, chart_growth.py: the pictures of --plot
"""
