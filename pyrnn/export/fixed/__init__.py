"""The profile int16: weights of int8, values of int16, sums of int32, and no float at all, for chips without an FPU.

Values stand for themselves over 2^bits. What lies within -1 and 1 (h, gates, tanh) has 15 fraction bits; inputs, the
outputs of a Linear, and c of an LSTM have as many as leave headroom above the largest magnitude that the float32
network shows on the user's data, and stay at the ends of their range beyond. Rows of weights have a scale each.

functions.py and cells.py hold each function twice, in C and in NumPy; tests compare the two with ==.
"""
