"""Examples on real data, each a module with a `main` and trained in under a minute.

    pip install "pyrnn-cpu[examples]"
    python -m examples.forecast      prices with windows of 2, 4 and 8 days; traffic 24 hours ahead
    python -m examples.sentiment     film reviews, good or bad
    python -m examples.generate      text, a character at a time
    python -m examples.seq2seq       the sounds of a word from its letters
    python -m examples.classify      sequences of different lengths
    python -m examples.cnn           handwritten digits
    python -m examples.counting      the numbers 1 to 10, a step of a cell at a time
    python -m examples.gradients     vanishing gradients in an RNN, an LSTM and a GRU

They run in a clone. Each module's docstring has the measured results. The data come from packages of the extra
`examples`.
"""

import sys
from pathlib import Path

# `python -m` puts the clone first on sys.path, where its pyrnn/, without a compiled core, would hide the installed
# package. This sorts the clone to the end.
sys.path.sort(key=str(Path(__file__).parents[1]).__eq__)
