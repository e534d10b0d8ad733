"""The differences of two sets of targets, step name by step name. Pure."""

from __future__ import annotations

import enum
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.identity.canonical import FrozenDict
from marin_build.plan.difference_text import difference_texts
from marin_build.plan.match_entries import Entry, leaves_of, matched_entries
from marin_build.plan.payload_diff import ABSENT, Difference
from marin_build.plan.renames import body_before, with_renames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


_NO_CAUSES: Mapping[str, str] = FrozenDict()


class Kind(enum.Enum):
    """How a target differs."""

    APPEARED = "appeared"
    VANISHED = "vanished"
    CHANGED = "changed"
    RENAMED = "renamed"
    """It is the same but for its name, which is a part of identity."""
    CASCADE = "cascade"
    """Only its dependencies changed."""
    CODE = "code"
    """Its identity is the same, its code is not."""
    DECISION = "decision"
    """It is the same, but the two plans decide differently about it."""


@dataclass(frozen=True, slots=True)
class TargetDifference:
    """One difference. `old` is None for an added target, `new` for a removed one."""

    kind: Kind
    old: Entry | None
    new: Entry | None
    leaves: tuple[Difference, ...] = ()
    code_changed: bool = False
    causes: Mapping[str, str] = _NO_CAUSES
    """Id of a dependency -> what changed there at the root, in words."""

    @property
    def entry(self) -> Entry:
        """The new target, or the old one if it was removed."""
        entry = self.new or self.old
        assert entry is not None
        return entry

    def own_reasons(self) -> list[str]:
        """Return what differs in words, without causes in dependencies."""
        return replace(self, causes=_NO_CAUSES).reasons()

    def reasons(self) -> list[str]:
        """Return what differs, in words."""
        found = difference_texts(self.leaves, self.causes)
        if self.code_changed:
            found.append("code changed")
        if self.kind is Kind.DECISION and self.old is not None and self.new is not None:
            found.append(f"{self.old.decision} -> {self.new.decision}")
        return found


@dataclass(frozen=True, slots=True)
class TargetsDiff:
    """All differences in the order of the new side, then removed ones; `same` counts equals."""

    differences: tuple[TargetDifference, ...]
    same: int

    def summary(self) -> dict[str, int]:
        """Return the number of targets of each kind, and of those that are the same."""
        counts = {kind.value: 0 for kind in Kind}
        for difference in self.differences:
            counts[difference.kind.value] += 1
        return {**counts, "same": self.same}


def diff_targets(old: Sequence[Entry], new: Sequence[Entry]) -> TargetsDiff:
    """Return how two sets of targets differ.

    Targets of one identity are paired. The others are paired by name; several targets of one name
    are paired so that few leaves differ.
    """
    was = {(entry.id, entry.fingerprint): entry for entry in old}
    now = {(entry.id, entry.fingerprint): entry for entry in new}
    partner = {key: was[key] for key in now if key in was}
    partner |= matched_entries(
        [entry for key, entry in was.items() if key not in now],
        [entry for key, entry in now.items() if key not in was],
    )
    taken = {(entry.id, entry.fingerprint) for entry in partner.values()}
    left = [entry for key, entry in was.items() if key not in taken]
    renamed, ids = _renamed(left, [entry for key, entry in now.items() if key not in partner])
    partner |= renamed
    found: list[TargetDifference] = []
    same = 0
    for key, entry in now.items():
        difference = _difference(partner.get(key), entry, ids)
        if difference is None:
            same += 1
        else:
            found.append(difference)
    taken = {(entry.id, entry.fingerprint) for entry in partner.values()}
    found.extend(
        TargetDifference(Kind.VANISHED, entry, None)
        for key, entry in was.items()
        if key not in taken
    )
    return TargetsDiff(tuple(_with_causes(found)), same)


def _renamed(
    old: Sequence[Entry], new: Sequence[Entry]
) -> tuple[dict[tuple[str, str], Entry], dict[str, str]]:
    """Return the pairs that are the same but for their names, and their ids, new -> old."""
    known: dict[tuple[str, str | None], list[Entry]] = defaultdict(list)
    for entry in reversed(old):
        known[body_before(entry.payload, {}), entry.version].append(entry)
    pairs: dict[tuple[str, str], Entry] = {}
    ids: dict[str, str] = {}
    for entry in _dependencies_first(new) if old else ():
        if same := known[body_before(entry.payload, ids), entry.version]:
            pairs[entry.id, entry.fingerprint] = same.pop()
            ids[entry.id] = pairs[entry.id, entry.fingerprint].id
    return pairs, ids


def _dependencies_first(entries: Sequence[Entry]) -> list[Entry]:
    """Return entries in an order in which each stands after those that it needs."""
    by_id = {entry.id: entry for entry in entries}
    order: dict[str, Entry] = {}
    for start in by_id:
        pending = [start]
        while pending:
            at = pending[-1]
            missing = [dep for dep in by_id[at].deps if dep in by_id and dep not in order]
            if at in order or not missing:
                order.setdefault(at, by_id[at])
                pending.pop()
            else:
                pending.extend(missing)
    return list(order.values())


def _with_causes(found: Sequence[TargetDifference]) -> Iterator[TargetDifference]:
    """Yield differences that name what changed at the root of the dependencies that changed."""
    by_id = {each.new.id: each for each in found if each.new is not None}
    causes: dict[str, str] = {}
    for entry in _dependencies_first([each.new for each in found if each.new is not None]):
        each = by_id[entry.id]
        if each.old is None:
            continue
        first = each.leaves[0] if each.leaves else None
        above = causes.get(str(first.new), "") if first is not None else ""
        if first is not None and first.path.startswith("deps.") and above and not each.code_changed:
            causes[entry.id] = above
        elif texts := each.own_reasons():
            causes[entry.id] = texts[0]
    for each in found:
        below = {leaf.new: causes[leaf.new] for leaf in each.leaves if leaf.new in causes}
        yield replace(each, causes=below) if below else each


def changed_entries(old: Sequence[Entry], new: Iterable[Entry]) -> list[bool]:
    """Return for each target of `new` whether `old` has none with its identity and code."""
    known = {(entry.id, entry.fingerprint, entry.code) for entry in old}
    return [(entry.id, entry.fingerprint, entry.code) not in known for entry in new]


def _difference(old: Entry | None, new: Entry, ids: Mapping[str, str]) -> TargetDifference | None:
    if old is None:
        return TargetDifference(Kind.APPEARED, None, new)
    code_changed = None not in (old.code, new.code) and old.code != new.code
    if (old.id, old.fingerprint) == (new.id, new.fingerprint):
        if code_changed:
            return TargetDifference(Kind.CODE, old, new, code_changed=True)
        if None not in (old.decision, new.decision) and old.decision != new.decision:
            return TargetDifference(Kind.DECISION, old, new)
        return None
    if old.name != new.name:
        name = Difference("name", old.name, new.name)
        return TargetDifference(Kind.RENAMED, old, new, (name,), code_changed)
    leaves = tuple(with_renames(leaves_of(old, new), ids))
    code_changed = code_changed or any(leaf.path == "code" for leaf in leaves)
    leaves = tuple(leaf for leaf in leaves if leaf.path != "code")  # `code_changed` reports it
    # The command of a command step is also its code: one report of it is enough.
    code_changed = code_changed and not any(leaf.path.startswith("command") for leaf in leaves)
    from_above = bool(leaves) and all(leaf.path.startswith("deps.") for leaf in leaves)
    rewired = any(leaf.old is ABSENT or leaf.new is ABSENT for leaf in leaves)
    kind = Kind.CASCADE if from_above and not rewired else Kind.CHANGED
    return TargetDifference(kind, old, new, leaves, code_changed)
