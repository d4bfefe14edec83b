"""Networks of known kind: the same difficulty of samples, noise and luck of their own."""

import numpy as np


def labels_of(n, classes, seed):
    return np.random.default_rng(seed).integers(classes, size=n)


def networks(labels, number, seed, *, classes=5, luck=0.1, own=1.2):
    """Logits (number, n, classes), too sure by half; ``seed`` is of the networks, samples follow from labels alone."""
    shared = np.random.default_rng(int(labels.sum()) + 1)
    random = np.random.default_rng([seed, 7])
    base = 1.5 * np.eye(classes)[labels] + 0.8 * shared.normal(size=(len(labels), classes))
    noise = own * np.exp(luck * random.normal(size=number))
    return 2 * (base + noise[:, None, None] * random.normal(size=(number, *base.shape)))


def ids_of(n):
    return [f"data/{i}" for i in range(n)]
