"""A language model that counts which token follows which, and how well it guesses."""

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import corpus


@dataclass(frozen=True)
class Model:
    """What the model is.

    Args:
        smoothing: the count that a pair has that was never seen.
        vocabulary: how many tokens it knows; the rest are one.

    """

    smoothing: float = 0.05
    vocabulary: int = 2000


@dataclass(frozen=True)
class Training:
    """What to train on, by name: where its tokens lie, and how much a pair of it counts."""

    output_path: str
    model: Model
    tokens: dict[str, str]
    weights: dict[str, float]
    resources: Any = None


@dataclass(frozen=True)
class Evaluation:
    """What to guess, with which model."""

    output_path: str
    model_path: str
    tokens_path: str


@dataclass(frozen=True)
class Summary:
    """The evaluations to compare, by name."""

    output_path: str
    evaluations: dict[str, str] = field(default_factory=dict)


def train(config: Training) -> None:
    """Count the pairs of all components, weighted."""
    ones: Counter[str] = Counter()
    pairs: dict[tuple[str, str], float] = {}
    for name, path in config.tokens.items():
        for tokens in corpus.token_lists(path):
            ones.update(tokens)
            for pair in pairwise(tokens):
                pairs[pair] = pairs.get(pair, 0.0) + config.weights[name]
    known = sorted(ones, key=lambda token: (-ones[token], token))[: config.model.vocabulary]
    document = {
        "smoothing": config.model.smoothing,
        "known": known,
        "pairs": [[a, b, count] for (a, b), count in sorted(pairs.items())],
    }
    corpus.write_text(f"{config.output_path}/model.json", json.dumps(document))


def evaluate(config: Evaluation) -> dict[str, float]:
    """Return how many bits a token takes."""
    model = json.loads(corpus.read_text(f"{config.model_path}/model.json"))
    known, smoothing = set(model["known"]), model["smoothing"]
    counts: Counter[tuple[str, str]] = Counter()
    for a, b, count in model["pairs"]:
        counts[a if a in known else "", b if b in known else ""] += count
    before: Counter[str] = Counter()
    for (a, _), count in counts.items():
        before[a] += count
    bits, total = 0.0, 0
    for tokens in corpus.token_lists(config.tokens_path):
        words = [token if token in known else "" for token in tokens]
        for a, b in pairwise(words):
            share = (counts[a, b] + smoothing) / (before[a] + smoothing * (len(known) + 1))
            bits -= math.log2(share)
            total += 1
    score = {"bits_per_token": round(bits / max(total, 1), 4), "tokens": float(total)}
    corpus.write_text(f"{config.output_path}/score.json", json.dumps(score))
    return score


def summarise(config: Summary) -> None:
    """Write a table of the scores."""
    lines = ["| text | bits a token |", "|---|---|"]
    for name, path in sorted(config.evaluations.items()):
        score = json.loads(corpus.read_text(f"{path}/score.json"))
        lines.append(f"| {name} | {score['bits_per_token']} |")
    corpus.write_text(f"{config.output_path}/summary.md", "\n".join(lines) + "\n")
