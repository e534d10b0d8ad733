"""MinHash signatures and locality-sensitive hashing, in numpy.

MinHash: A. Broder, "On the resemblance and containment of documents", 1997. For a random
hash function, the chance that two sets have the same smallest hash is their Jaccard
similarity |A & B| / |A | B|, so the share of equal entries in two signatures estimates it.

Banding: P. Indyk and R. Motwani, "Approximate nearest neighbors", 1998. Two signatures are
compared only if all entries of at least one band of rows are equal.
"""

import re
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PRIME = (1 << 31) - 1  # a Mersenne prime; a * x + b stays below 2**63
WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Copy:
    """A document that is nearly the same as an earlier one (both are row numbers)."""

    document: int
    original: int
    similarity: float


def shingles(text: str, size: int) -> NDArray[np.uint64]:
    """Return the set of hashed runs of `size` words; a shorter text is one run."""
    words = WORD.findall(text)
    last = max(len(words) - size, 0)
    runs = {" ".join(words[start : start + size]) for start in range(last + 1)}
    return np.array(sorted(zlib.crc32(run.encode()) for run in runs), dtype=np.uint64)


class MinHasher:
    """A fixed family of hash functions x -> (a * x + b) mod PRIME."""

    def __init__(self, hashes: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.a = random.integers(1, PRIME, size=(hashes, 1), dtype=np.uint64)
        self.b = random.integers(0, PRIME, size=(hashes, 1), dtype=np.uint64)

    def sign(self, values: NDArray[np.uint64]) -> NDArray[np.uint32]:
        """Return the smallest value of every hash function over a set."""
        hashed = (self.a * (values % PRIME) + self.b) % PRIME
        smallest: NDArray[np.uint32] = hashed.min(axis=1).astype(np.uint32)
        return smallest


def find_copies(signatures: NDArray[np.uint32], bands: int, threshold: float) -> Iterator[Copy]:
    """Yield the rows that are near copies of an earlier row which is itself not a copy."""
    kept: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for row, signature in enumerate(signatures):
        keys = [(n, band.tobytes()) for n, band in enumerate(np.split(signature, bands))]
        candidates = sorted({other for key in keys for other in kept.get(key, ())})
        copy = closest(signatures, row, candidates)
        if copy is not None and copy.similarity >= threshold:
            yield copy
        else:
            for key in keys:
                kept[key].append(row)


def closest(signatures: NDArray[np.uint32], row: int, candidates: list[int]) -> Copy | None:
    """Return the candidate with the largest share of equal entries, the first one of equals."""
    if not candidates:
        return None
    shares = (signatures[candidates] == signatures[row]).mean(axis=1)
    best = int(shares.argmax())
    return Copy(row, candidates[best], float(shares[best]))
