"""A language model of letters: how often each letter follows the few letters before it.

Nothing here knows of marin-build. The same input gives the same bytes on every machine. Folders
are paths or URLs, `gs://bucket/counts`: fsspec reads and writes both.
"""

import json
import math
from collections import Counter
from pathlib import Path

import fsspec

ALPHABET = 128
"""As many letters are smoothed over: ASCII."""


def clean(output: str, texts: Path) -> dict[str, int]:
    """Write each text in lower case and with single spaces; return the letters of each."""
    sizes = {}
    for path in sorted(texts.glob("*.txt")):
        text = " ".join(path.read_text(encoding="utf-8").lower().split())
        write(f"{output}/{path.name}", text)
        sizes[path.stem] = len(text)
    return sizes


def count(output: str, texts: str, name: str, order: int) -> int:
    """Count what follows each `order` letters of one text; return how many such beginnings."""
    text = read(f"{texts}/{name}.txt")
    found: dict[str, Counter[str]] = {}
    for end in range(order, len(text)):
        found.setdefault(text[end - order : end], Counter())[text[end]] += 1
    write(f"{output}/counts.json", json.dumps(found, sort_keys=True, indent=0))
    return len(found)


def merge(output: str, counts: list[str]) -> int:
    """Add counts up: that is the model; return how many beginnings it knows."""
    total: dict[str, Counter[str]] = {}
    for folder in counts:
        for before, letters in json.loads(read(f"{folder}/counts.json")).items():
            total.setdefault(before, Counter()).update(letters)
    write(f"{output}/counts.json", json.dumps(total, sort_keys=True, indent=0))
    return len(total)


def evaluate(output: str, model: str, texts: str, name: str, order: int) -> float:
    """Return the bits that the model needs for a letter of a text it has not seen."""
    counts = json.loads(read(f"{model}/counts.json"))
    text = read(f"{texts}/{name}.txt")
    bits = 0.0
    for end in range(order, len(text)):
        seen = counts.get(text[end - order : end], {})
        chance = (seen.get(text[end], 0) + 0.1) / (sum(seen.values()) + 0.1 * ALPHABET)
        bits -= math.log2(chance)
    mean = round(bits / (len(text) - order), 4)
    write(f"{output}/report.md", f"{name}: {mean} bits a letter\n")
    return mean


def read(place: str) -> str:
    """Return the text of a file."""
    with fsspec.open(place, "r", encoding="utf-8") as stream:
        text: str = stream.read()
    return text


def write(place: str, text: str) -> None:
    """Write a text into a file."""
    with fsspec.open(place, "w", encoding="utf-8") as stream:
        stream.write(text)
