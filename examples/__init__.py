"""Examples on real data, each a module with a `main` and trained in under a minute.

    pip install "pyrnn-cpu[examples]"
    python -m examples.forecast      prices with windows of 2, 4 and 8 days; traffic 24 hours ahead
    python -m examples.sentiment     is a film review good or bad?
    python -m examples.generate      text, a character at a time
    python -m examples.seq2seq       how a word is spoken, from how it is spelt
    python -m examples.classify      sequences of different lengths
    python -m examples.cnn           digits
    python -m examples.counting      1 to 10, a cell at a time
    python -m examples.gradients     how gradients vanish in an RNN, an LSTM and a GRU

They run in a clone. What comes out stands in each module's docstring. The data come from packages of the extra
`examples`.
"""

import sys
from pathlib import Path

# `python -m` puts the clone first on sys.path, and its folder pyrnn/ has no compiled core. Last, it hides no package.
sys.path.sort(key=str(Path(__file__).parents[1]).__eq__)
