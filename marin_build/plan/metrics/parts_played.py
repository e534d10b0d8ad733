"""Which steps of several names are one and the same in a comparison of targets. Pure.

In a sweep steps of different names play one part: `sweep/a/train` and `sweep/b/train`. They are
compared as one step, `train`, if they have the same attributes and parameters, and their names have
words in common. A name that stands above all rows stands for itself.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from marin_build.plan.metrics.hashed_step import HashedStep


_SEPARATORS = re.compile(r"([/_=-]+)")
"""What stands between the words of a name, `sweep/train-lr0.1`."""


def parts_played(
    steps: Mapping[str, HashedStep], users: Mapping[str, int], rows: int
) -> dict[str, str]:
    """Return key -> the part that a step plays: its name, or one for several names.

    Args:
        steps: key -> step.
        users: key -> the rows that were made from that step, as bits: rows first, each step before
            what it needs.
        rows: how many there are.

    """
    by_name: dict[str, list[str]] = {}
    for key in users:
        by_name.setdefault(steps[key].name, []).append(key)
    everyone = (1 << rows) - 1
    parts: dict[str, str] = {}
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, keys in by_name.items():
        above = 0
        for key in keys:
            above |= users[key]
        if above == everyone:
            parts[name] = name
        else:
            alike.setdefault(_signature(steps[keys[0]]), []).append(name)
    for names in _groups(alike, steps, by_name, users):
        common = _common_part(names)
        is_free = common in names or (common not in by_name and common not in parts.values())
        for name in names:
            parts[name] = common if common and (is_free or len(names) == 1) else name
    short = _shortest_ends(set(parts.values()))
    return {key: short[parts[steps[key].name]] for key in users}


def _groups(
    alike: Mapping[tuple[str, ...], list[str]],
    steps: Mapping[str, HashedStep],
    by_name: Mapping[str, list[str]],
    users: Mapping[str, int],
) -> Iterator[list[str]]:
    """Yield names that may play one part: alike, and with words in common.

    Names without are told apart by what their steps were made from: then `raw/a` and `clean/a`,
    which have no attributes, are two parts, and `clean/a` and `clean/b` one.
    """
    shapes: dict[str, int] = {}
    for signature, names in alike.items():
        if not signature or len(names) == 1:
            yield from ([name] for name in names)
        elif _common_part(names):
            yield names
        else:
            shapes = shapes or _shapes(steps, list(users))
            apart: dict[int, list[str]] = {}
            for name in names:
                apart.setdefault(shapes[by_name[name][0]], []).append(name)
            yield from apart.values()


def _shapes(steps: Mapping[str, HashedStep], rows_first: Sequence[str]) -> dict[str, int]:
    """Return key -> a number, equal for steps that are alike and were made from such as are."""
    known: dict[tuple[tuple[str, ...], tuple[int, ...]], int] = {}
    shapes: dict[str, int] = {}
    for key in reversed(rows_first):
        above = {shapes[dep] for dep in steps[key].deps.values() if dep in shapes}
        shape = _signature(steps[key]), tuple(sorted(above))
        shapes[key] = known.setdefault(shape, len(known))
    return shapes


def _signature(step: HashedStep) -> tuple[str, ...]:
    """Return the names of all that a step is declared with; empty if that is nothing."""
    parts = (step.payload.get(part) for part in ("attrs", "bind", "inputs"))
    own = {key for part in parts if isinstance(part, dict) for key in part}
    return tuple(sorted(own | {key for key in ("command", "deps") if step.payload.get(key)}))


def _common_part(names: Sequence[str]) -> str:
    """Return the words that names have in common: of `lr/a/train-0` and `lr/b/train-1` `lr/train`.

    Those of names with as many words stand in the same places, those of others at both ends. Empty
    if there are none.
    """
    split = [_SEPARATORS.split(name) for name in names]  # words, and what stands between them
    first, shortest = split[0], min(map(len, split))
    is_same = [len({words[at] for words in split}) == 1 for at in range(shortest)]
    if len(set(map(len, split))) > 1:
        at_end = [len({words[-1 - at] for words in split}) == 1 for at in range(shortest)]
        start, end = _leading(is_same), _leading(at_end)
        is_same = [at < start or at >= len(first) - end for at in range(len(first))]
    common = ""
    for at in range(0, len(first), 2):
        if is_same[at] and first[at]:
            common += (first[at - 1] if common else "") + first[at]
    return common


def _leading(answers: Sequence[bool]) -> int:
    """Return how many answers there are before the first no."""
    return answers.index(False) if False in answers else len(answers)


def _shortest_ends(parts: set[str]) -> dict[str, str]:
    """Return each part by as few of its last folders as tell it from the others."""

    def ends(part: str) -> list[str]:
        folders = part.split("/")
        return ["/".join(folders[at:]) for at in range(len(folders) - 1, -1, -1)]

    known = Counter(end for part in parts for end in ends(part))
    return {part: next((e for e in ends(part) if e and known[e] == 1), part) for part in parts}
