"""An n-gram language model with interpolated modified Kneser-Ney smoothing, in numpy.

S. Chen and J. Goodman, "An empirical study of smoothing techniques for language modeling",
1998 (TR-10-98), sections 3 and 5. With c the count of an n-gram and h' the context h
without its first token:

    p(w | h) = (c(h w) - D(c(h w))) / c(h) + gamma(h) * p(w | h')

The highest order counts occurrences. A lower order counts the different tokens seen to the
left of the n-gram. Below the single tokens is the uniform distribution.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Level:
    """All n-grams of one order; the id of an n-gram is its place in `keys`."""

    keys: Ids  # sorted; (id of the first n - 1 tokens) * vocab_size + last token
    alpha: Floats  # per n-gram: (c(h w) - D) / c(h)
    gamma: Floats  # per context (an n-gram of the order below): weight of the order below


def stream(parts: Iterable[NDArray[np.integer]], end: int) -> Ids:
    """Join tokenized texts; the stream begins like any later text, behind an end of text."""
    return np.concatenate([[end], *parts]).astype(np.int64)


def fit(tokens: Ids, vocab_size: int, order: int) -> list[Level]:
    """Train the levels for the orders 1, 2, ... `order` on one stream of tokens."""
    keys: list[Ids] = []
    contexts: list[int] = [1]  # how many n-grams of order 0, 1, ... there are
    counts: list[Ids] = []
    ids = np.zeros(len(tokens) + 1, dtype=np.int64)  # order 0: the empty context everywhere
    for n in range(1, order + 1):
        codes = ids[:-1] * vocab_size + tokens[n - 1 :]
        found, first, places, occurrences = np.unique(
            codes, return_index=True, return_inverse=True, return_counts=True
        )
        if n > 1:  # one more token to the left for each n-gram: count its suffix once
            counts.append(np.bincount(ids[first + 1], minlength=contexts[-1]))
        keys.append(found)
        contexts.append(len(found))
        ids = places
    counts.append(occurrences)
    return [smooth(*level, vocab_size) for level in zip(keys, counts, contexts[:-1], strict=True)]


def smooth(keys: Ids, counts: Ids, contexts: int, vocab_size: int) -> Level:
    """Take a discount from every count and give the sum to the order below."""
    context = keys // vocab_size
    discount = discounts(counts)[np.minimum(counts, 3)]
    total = np.bincount(context, weights=counts, minlength=contexts)
    saved = np.bincount(context, weights=discount, minlength=contexts)
    seen = total > 0
    gamma = np.divide(saved, total, out=np.ones(contexts), where=seen)
    alpha = np.divide(
        counts - discount, total[context], out=np.zeros(len(keys)), where=seen[context]
    )
    return Level(keys, alpha.astype(np.float32), gamma.astype(np.float32))


def discounts(counts: Ids) -> Floats:
    """Estimate the discounts of the counts 0, 1, 2 and 3 or more (equation 26)."""
    n1, n2, n3, n4 = (int(np.count_nonzero(counts == n)) for n in range(1, 5))
    if 0 in (n1, n2, n3, n4):
        return np.array([0.0, 0.5, 1.0, 1.5])  # too little data: fixed values, as in KenLM
    y = n1 / (n1 + 2 * n2)
    estimate = np.array([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    clipped: Floats = np.clip(estimate, 0, np.arange(4))
    return clipped


def probabilities(levels: Sequence[Level], tokens: Ids, vocab_size: int) -> Floats:
    """Return the probability of every token of a stream, given the tokens before it."""
    result = np.full(len(tokens), 1 / vocab_size)
    ids = np.zeros(len(tokens) + 1, dtype=np.int64)  # -1 stands for an unknown n-gram
    for n, level in enumerate(levels, start=1):
        context, ends = ids[:-1], tokens[n - 1 :]
        known = context >= 0
        ids = np.where(known, find(level.keys, context * vocab_size + ends), -1)
        alpha = np.where(ids >= 0, level.alpha[ids], 0)
        gamma = np.where(known, level.gamma[context], 1)
        result[n - 1 :] = alpha + gamma * result[n - 1 :]
    return result


def find(keys: Ids, wanted: Ids) -> Ids:
    """Return the places of the wanted values in a sorted array, -1 for a missing value."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, -1)


def save(folder: Path, levels: Sequence[Level]) -> None:
    """Write one file per order."""
    for n, level in enumerate(levels, start=1):
        np.savez(folder / f"order-{n}.npz", keys=level.keys, alpha=level.alpha, gamma=level.gamma)


def load(folder: Path) -> list[Level]:
    """Read what `save` wrote."""
    levels = []
    for file in sorted(folder.glob("order-*.npz")):
        with np.load(file) as arrays:
            levels.append(Level(**arrays))
    return levels
