"""A language model of letters: how often each letter follows the few letters before it.

Nothing here knows of marin-build. The same input gives the same bytes on every machine.
"""

import json
import math
from collections import Counter
from pathlib import Path

ALPHABET = 128
"""As many letters are smoothed over: ASCII."""


def clean(output: Path, texts: Path) -> dict[str, int]:
    """Write each text in lower case and with single spaces; return the letters of each."""
    sizes = {}
    for path in sorted(texts.glob("*.txt")):
        text = " ".join(path.read_text(encoding="utf-8").lower().split())
        (output / path.name).write_text(text, encoding="utf-8")
        sizes[path.stem] = len(text)
    return sizes


def count(output: Path, texts: Path, name: str, order: int) -> int:
    """Count what follows each `order` letters of one text; return how many such beginnings."""
    text = (texts / f"{name}.txt").read_text(encoding="utf-8")
    found: dict[str, Counter[str]] = {}
    for end in range(order, len(text)):
        found.setdefault(text[end - order : end], Counter())[text[end]] += 1
    (output / "counts.json").write_text(json.dumps(found, sort_keys=True, indent=0))
    return len(found)


def merge(output: Path, counts: list[Path]) -> int:
    """Add counts up: that is the model; return how many beginnings it knows."""
    total: dict[str, Counter[str]] = {}
    for folder in counts:
        for before, letters in json.loads((folder / "counts.json").read_text()).items():
            total.setdefault(before, Counter()).update(letters)
    (output / "counts.json").write_text(json.dumps(total, sort_keys=True, indent=0))
    return len(total)


def evaluate(output: Path, model: Path, texts: Path, name: str, order: int) -> float:
    """Return the bits that the model needs for a letter of a text it has not seen."""
    counts = json.loads((model / "counts.json").read_text())
    text = (texts / f"{name}.txt").read_text(encoding="utf-8")
    bits = 0.0
    for end in range(order, len(text)):
        seen = counts.get(text[end - order : end], {})
        chance = (seen.get(text[end], 0) + 0.1) / (sum(seen.values()) + 0.1 * ALPHABET)
        bits -= math.log2(chance)
    mean = round(bits / (len(text) - order), 4)
    (output / "report.md").write_text(f"{name}: {mean} bits a letter\n")
    return mean
