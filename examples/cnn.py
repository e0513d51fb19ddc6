"""Reads handwritten digits by convolutions, batch norms and pooling in one Sequential, trained with NumPy alone.

The data are 1797 images of 8 by 8 pixels from scikit-learn (UCI's optical recognition of handwritten digits), of which
a quarter is the test set. Measured on it at seeds 0 to 2: accuracy 99.6, 99.1 and 98.9 %, macro-F1 0.996, 0.991,
0.989. The commonest digit has 10.2 % and 0.019, logistic regression 96.9 % and 0.969. It takes 4 s with
OMP_NUM_THREADS=1, and 18 s without: the products are too small for the threads of NumPy's BLAS.
"""

from __future__ import annotations

import numpy as np

from pyrnn import nn, train

from ._scores import scores

try:
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
except ImportError as error:
    raise ImportError(f'this example needs {error.name}: pip install "pyrnn-cpu[examples]"') from error


def make(seed: int = 0) -> nn.Sequential:
    """A network from images [B,1,8,8] to scores [B,10].

    The channels come first, as in torch. Keras has them last, and its Flatten another order: `load_weights` of
    `pyrnn.io.keras` puts the weights of the same network of Keras into the order of this one.
    """
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding="same", seed=seed),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding="same", seed=seed + 1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3, seed=seed),
        nn.Linear(32 * 2 * 2, 10, seed=seed),
    )


def main(epochs: int = 20, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Trains, and prints and returns (accuracy, macro-F1) on a quarter of the images, by name of the model."""
    pixels, digits = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 1, 8, 8) / 16).astype(np.float32)
    x, x_test, y, y_test = train_test_split(images, digits, test_size=0.25, stratify=digits, random_state=0)
    model = make(seed)
    print(model.summary((None, 1, 8, 8)))
    optimizer = train.AdamW(model, lr=3e-3)
    train.fit(
        model,
        (x, y),
        loss=train.cross_entropy,
        optimizer=optimizer,
        scheduler=train.CosineAnnealingLR(optimizer, T_max=epochs),
        epochs=epochs,
        seed=seed,
    )
    line = LogisticRegression(max_iter=1000).fit(x.reshape(len(x), -1), y)
    said = {
        "the commonest digit": np.full_like(y_test, np.bincount(y).argmax()),
        "logistic regression": line.predict(x_test.reshape(len(x_test), -1)),
        "convolutions": model.predict(x_test).argmax(1),
    }
    return scores(y_test, said)


if __name__ == "__main__":
    main()
