"""ONNX graphs that pyrnn refuses: a name, the graph, and a part of the sentence."""

from __future__ import annotations

import numpy as np
from onnx_models import weights

GRU = weights(3)
BOTH = weights(4, directions=2)
S = "(float[t,b,3] x) => (float y) "  # a sequence in
V = "(float[b,3] x) => (float y) "  # vectors in
P = "(float[b,3,8,8] x) => (float y) "  # pictures in
REFUSED: dict[str, tuple[str, str]] = {
    "an operator": (V + "{ y = Erf(x) }", "the Erf node \"y\" is an operator"),
    "two branches": (V + "{ h = Relu(x) y = Add(h, x) }", "the Add node \"y\".*input 1"),
    "a constant added": (V + "{ h = Relu(x) y = Add(h, three) }", "the Add node \"y\" is not the bias"),
    "alpha": (V + "{ y = Gemm<alpha = 0.5>(x, m) }", "the Gemm node \"y\".*alpha"),
    "transA": ("(float[3,b] x) => (float y) { y = Gemm<transA = 1>(x, m) }", "the Gemm node \"y\".*transA"),
    "features": ("(float[b,4] x) => (float y) { y = MatMul(x, m) }", "the MatMul node \"y\".*3 features"),
    "axes": (S + "{ y = Softmax<axis = 3>(x) }", "the Softmax node \"y\" has axis=3"),
    "slope": (V + "{ y = HardSigmoid<alpha = 0.3>(x) }", "the HardSigmoid node \"y\" has alpha=0.3"),
    "first step": (S + "{ y = Gather(x, n0) }", "the Gather node \"y\".*all of it, or its last"),
    "mixing": (S + "{ t = Reshape(x, i3) y = Relu(t) }", "the Reshape node \"t\""),
    "cutting across": ("(float[4,3] x) => (float y) { y = Reshape(x, six) }", "the Reshape node \"y\".*mixes"),
    "keepdims": (S + "{ y = ReduceMax<keepdims = -1>(x, i1) }", "the ReduceMax node \"y\" has keepdims=-1"),
    "squeezing": ("(float[1,b,3] x) => (float y) { y = Squeeze(x) }", "the Squeeze node \"y\" drops"),
    "initial_h": (S + "{ y, h = GRU(x, w, r, , , ones) }", "the GRU node \"y\" has initial_h"),
    "states as inputs": (
        "(float[t,b,3] x, float[1,b,5] h) => (float y) { y = GRU(x, w, r, , , h) }",
        "depends on 2 inputs",
    ),
    "states that are computed": (S + "{ a, h = GRU(x, w, r) y = GRU(x, w, r, , , h) }", "GRU node \"y\": its input 5"),
    "lengths": (S + "{ y = GRU(x, w, r, , lens) }", "the GRU node \"y\" has sequence_lens"),
    "clip": (S + "{ y = GRU<clip = 1.0>(x, w, r) }", "the GRU node \"y\".*clip"),
    "the cell state": (S + "{ a, b, y = LSTM(x, w4, r4) }", "the LSTM node \"a\".*Y_c"),
    "half of the states": (
        S + "{ a, h = LSTM<direction = \"bidirectional\">(x, w8, r8) y = Gather(h, n0) }",
        "its output \"y\" uses a part of the last states",
    ),
    "weights that are computed": (V + "{ s = Shape(x) f = Cast<to = 1>(s) q = Unsqueeze(f, i1) y = MatMul(x, q) }",
                                  "the MatMul node \"y\": its input 1 depends on the shape"),
    "ceil_mode": (P + "{ y = MaxPool<kernel_shape = [2,2], ceil_mode = 1>(x) }", "the MaxPool node \"y\".*ceil_mode"),
    "dilations": (P + "{ y = MaxPool<kernel_shape = [2,2], dilations = [2,2]>(x) }", "MaxPool node \"y\".*dilations"),
    "auto_pad": (P + "{ y = Conv<auto_pad = \"SAME_LOWER\">(x, k) }", "the Conv node \"y\" has auto_pad=SAME_LOWER"),
    "group": (P + "{ y = Conv<group = 2>(x, k) }", "the Conv node \"y\" has group=2"),
    "float16": ("(float16[b,3] x) => (float16 y) { y = Relu(x) }", "its input \"x\" is float16"),
    "a cut": (S + "{ q = Slice(x, i0, far, i0) y = Relu(q) }", "the Slice node \"q\" cuts axis 0"),
    "same padding counted": (
        P + "{ y = AveragePool<kernel_shape = [2,2], auto_pad = \"SAME_UPPER\", count_include_pad = 1>(x) }",
        "the AveragePool node \"y\" has count_include_pad=1",
    ),
    "training": (P + "{ y, mean, var = BatchNormalization<training_mode = 1>(x, three, three, three, three) }",
                 "the BatchNormalization node \"y\" is in training_mode"),
    "dropout": (V + "{ y = Dropout(x, half, yes) }", "the Dropout node \"y\" has training_mode"),
    "a cast": (V + "{ y = Cast<to = 10>(x) }", "its numbers are of float16 and float32"),
    "a cast to integers": (V + "{ y = Cast<to = 7>(x) }", "the Cast node \"y\" makes int64"),
    "two dtypes": (V + "{ y = MatMul(x, m64) }", "its numbers are of float32 and float64"),
    "an unknown attribute": (V + "{ y = Relu<slope = 2>(x) }", "slope"),
    "no input": (V + "{ y = Neg(three) }", "depends on 0 inputs"),
}  # fmt: skip
CONSTANTS = {
    **{"w": GRU["w"], "r": GRU["r"], "w4": weights(4)["w"], "r4": weights(4)["r"], "w8": BOTH["w"], "r8": BOTH["r"]},
    **{"m": np.ones((3, 2), np.float32), "m64": np.ones((3, 2)), "k": np.ones((4, 3, 3, 3), np.float32)},
    **{"three": np.ones(3, np.float32), "ones": np.ones((1, 2, 5), np.float32), "lens": np.int32([4, 4])},
    **{"n0": np.int64(0), "i1": np.int64([1]), "i3": np.int64([3, -1])},
    **{
        "i0": np.int64([0]),
        "six": np.int64([6, 2]),
        "far": np.int64([5000]),
        "half": np.float32(0.5),
        "yes": np.bool_(True),
    },
}
