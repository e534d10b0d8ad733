"""Linear regression on several hosts: each adds up its share of the data, the first one solves.

A stand-in for training: what matters is that all hosts compute one output together. They exchange
files in it, as hosts without a fast network of their own can. Folders are paths or URLs.
"""

import io
import time

import fsspec
import numpy as np

FEATURES = 8
_PAUSE = 0.2
"""Seconds between two looks for the sums of another host."""


def make(output: str, rows: int, shards: int, seed: int) -> int:
    """Write random data with a known answer, in shards; return the number of rows."""
    random = np.random.default_rng(seed)
    weights = np.arange(1.0, FEATURES + 1)
    for shard in range(shards):
        inputs = random.normal(size=(rows // shards, FEATURES))
        answers = inputs @ weights + random.normal(scale=0.01, size=len(inputs))
        _save(f"{output}/{shard}.npz", inputs, answers)
    return rows // shards * shards


def add_up(output: str, data: str, shards: int, host: int, hosts: int) -> None:
    """Write the sums of every `hosts`-th shard, beginning with that of this host."""
    squares, products = np.zeros((FEATURES, FEATURES)), np.zeros(FEATURES)
    for shard in range(host, shards, hosts):
        inputs, answers = _load(f"{data}/{shard}.npz")
        squares += inputs.T @ inputs
        products += inputs.T @ answers
    _save(f"{output}/sums-{host}.npz", squares, products)


def solve(output: str, hosts: int) -> list[float]:
    """Wait for the sums of all hosts, and return the weights."""
    squares, products = np.zeros((FEATURES, FEATURES)), np.zeros(FEATURES)
    for host in range(hosts):
        place = f"{output}/sums-{host}.npz"
        filesystem, path = fsspec.core.url_to_fs(place, use_listings_cache=False)
        while not filesystem.exists(path):
            time.sleep(_PAUSE)
        more_squares, more_products = _load(place)
        squares += more_squares
        products += more_products
    weights: list[float] = np.linalg.solve(squares, products).round(4).tolist()
    return weights


def _save(place: str, *arrays: np.ndarray) -> None:
    """Write arrays at once, so that a host that finds the file can read all of it."""
    buffer = io.BytesIO()
    np.savez(buffer, *arrays)
    filesystem, path = fsspec.core.url_to_fs(place)
    filesystem.pipe_file(path, buffer.getvalue())


def _load(place: str) -> list[np.ndarray]:
    with fsspec.open(place, "rb") as stream:
        held = np.load(io.BytesIO(stream.read()))
    return [held[name] for name in held.files]


def write(place: str, text: str) -> None:
    """Write a text into a file."""
    with fsspec.open(place, "w") as stream:
        stream.write(text)
