"""The entries of two plans, and which of the old ones a new one comes from. Pure."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.plan.payload_diff import (
    ABSENT,
    Difference,
    dependency_name,
    differences,
    without_echoes,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


_MOST_PAIRS = 10_000
"""If one name has more pairs than this, its targets are paired in their order."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A target of one side: of a plan, of a run or of a pipeline.

    Args:
        id: `name_with_hash` or `name@version`.
        name: the step's name.
        fingerprint: 64 hex digits.
        payload: the canonical text whose digest the fingerprint is.
        version: the step's version; None if it has none.
        deps: ids of the dependencies.
        declared: file and line of the declaration.
        code: digest of the step's code; None if it was not kept, or the step has no code.
        decision: the decision of a plan: run, reuse, ...; None without a plan.
        output: where its output lies: inside the prefix; with `./` before it inside the project;
            or absolute. Empty if that is not known.

    """

    id: str
    name: str
    fingerprint: str
    payload: str
    version: str | None = None
    deps: tuple[str, ...] = ()
    declared: str = ""
    code: str | None = None
    decision: str | None = None
    output: str = ""


def matched_entries(old: Sequence[Entry], new: Sequence[Entry]) -> dict[tuple[str, str], Entry]:
    """Return (id, fingerprint) of new targets -> the old target that each is paired with."""
    by_name: dict[str, tuple[list[Entry], list[Entry]]] = defaultdict(lambda: ([], []))
    for entry in old:
        by_name[entry.name][0].append(entry)
    for entry in new:
        by_name[entry.name][1].append(entry)
    pairs: list[tuple[Entry, Entry]] = []
    for olds, news in by_name.values():
        if len(olds) > 1 or len(news) > 1:
            pairs.extend(_with_equal_own_parts(olds, news))
        if len(olds) * len(news) <= _MOST_PAIRS:
            pairs.extend(_nearest(olds, news))
        else:
            pairs.extend(zip(olds, news, strict=False))
    return {(now.id, now.fingerprint): was for was, now in pairs}


def _with_equal_own_parts(olds: list[Entry], news: list[Entry]) -> list[tuple[Entry, Entry]]:
    """Pair targets that differ only in hashes of dependencies; remove them from both lists."""
    waiting: dict[str, list[Entry]] = defaultdict(list)
    for entry in olds:
        waiting[_own_part(entry)].append(entry)
    pairs, rest = [], []
    for entry in news:
        if same := waiting[_own_part(entry)]:
            pairs.append((same.pop(0), entry))
        else:
            rest.append(entry)
    news[:] = rest
    olds[:] = [entry for left in waiting.values() for entry in left]
    return pairs


def _own_part(entry: Entry) -> str:
    names = sorted(map(dependency_name, entry.deps))
    payload: dict[str, Any] = json.loads(entry.payload)
    payload.pop("bind", None)
    return json.dumps([entry.version, {**payload, "deps": names}], sort_keys=True)


def _nearest(olds: Sequence[Entry], news: Sequence[Entry]) -> list[tuple[Entry, Entry]]:
    """Pair targets so that few leaves differ: the most similar ones first, equals in order."""
    if len(olds) == len(news) == 1:
        return [(olds[0], news[0])]
    ranked = sorted(
        (len(leaves_of(was, now)), i, j) for i, was in enumerate(olds) for j, now in enumerate(news)
    )
    pairs: list[tuple[Entry, Entry]] = []
    olds_left, news_left = set(range(len(olds))), set(range(len(news)))
    for _, i, j in ranked:
        if i in olds_left and j in news_left:
            pairs.append((olds[i], news[j]))
            olds_left.remove(i)
            news_left.remove(j)
    return pairs


def leaves_of(old: Entry, new: Entry) -> tuple[Difference, ...]:
    """Return the leaves that differ, the step's own before those of its dependencies."""
    found = without_echoes(differences(json.loads(old.payload), json.loads(new.payload)))
    if old.version != new.version:
        versions = [ABSENT if v is None else v for v in (old.version, new.version)]
        found.append(Difference("version", *versions))
    return tuple(sorted(found, key=lambda leaf: leaf.path.startswith("deps.")))
