"""Examples on real data, each a module with a `main` and trained in under a minute.

    pip install "pyrnn-cpu[examples]"
    python -m pyrnn.examples.forecast      prices with windows of 2, 4 and 8 days; traffic 24 hours ahead
    python -m pyrnn.examples.sentiment     is a film review good or bad?
    python -m pyrnn.examples.generate      text, a character at a time
    python -m pyrnn.examples.seq2seq       how a word is spoken, from how it is spelt
    python -m pyrnn.examples.classify      sequences of different lengths
    python -m pyrnn.examples.cnn           digits
    python -m pyrnn.examples.counting      1 to 10, a cell at a time
    python -m pyrnn.examples.gradients     how gradients vanish in an RNN, an LSTM and a GRU

What comes out stands in each module's docstring. The data come from packages of the extra `examples`.
"""
