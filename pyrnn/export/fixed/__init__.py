"""The profile int16 has weights of int8, values of int16, sums of int32 and no float, for chips without an FPU.

An integer v with `bits` fraction bits stands for the number v / 2^bits. Numbers within -1 and 1 (h, gates, tanh) have
15 fraction bits. Inputs, the outputs of a Linear, and an LSTM's c have as many as leave headroom above the largest
magnitude that the float32 network has on the user's data; larger numbers saturate. Each row of weights has a scale.

functions.py and cells.py hold each function twice, in C and in NumPy; tests compare the two with ==.
"""
