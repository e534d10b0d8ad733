"""Which outputs under a prefix are needed, and by what: what `gc` keeps, and may delete. Pure.

An output is needed if one of the rules in `_root` names it, or if an output that is needed was made
from it.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from marin_build.protocol.lease import Lease
    from marin_build.protocol.status import Status
    from marin_build.protocol.tombstone import Tombstone


@dataclass(frozen=True, slots=True)
class Inventoried:
    """An output, as what lies under the prefix shows it.

    Args:
        path: the output path.
        name, target: the step's name and the target's id, by the path.
        status: the status; None: there is none.
        status_version: the store's version of that file; empty: there is none.
        tombstone: what lies in the place of the status, if that is a tombstone.
        lease: who holds it; None if nobody does.
        is_held: whether its holder may be alive, or it is committed and not published.
        end: when it was built, as records write moments; empty if that is not known.
        needs: ids, and paths, of what it was made from, by its record.
        keep: whether its step said `keep=True` when it was built.
        adopted_from: where the data lies that a person registered as this output.
        is_ours: whether a document beside it proves that marin-build made it.
        holds_others: whether another output lies inside it.
        damage: why it cannot be judged, in words; empty: it can.
        files, size: of all that lies there; bytes.

    """

    path: str
    name: str
    target: str
    status: Status | None = None
    status_version: str = ""
    tombstone: Tombstone | None = None
    lease: Lease | None = None
    is_held: bool = False
    end: str = ""
    needs: tuple[str, ...] = ()
    keep: bool = False
    adopted_from: str | None = None
    is_ours: bool = True
    holds_others: bool = False
    damage: str = ""
    files: int = 0
    size: int = 0

    @property
    def is_built(self) -> bool:
        """Whether it is finished, with or without a tombstone."""
        return self.status == "SUCCESS"


@dataclass(frozen=True, slots=True)
class Needs:
    """What is to be kept, apart from what the outputs say themselves.

    Args:
        declared: id of a target -> the pipeline, or the revision of it, that declares it.
        paths: output paths of such targets.
        in_use: id of a target -> the run that builds something from it now.
        names: names of steps that the pipelines declare: others are unknown to them.
        kept_names: names of steps that say `keep=True`.
        newest: how many builds of each name are kept, the newest ones.

    """

    declared: Mapping[str, str]
    paths: Mapping[str, str] = field(default_factory=dict)
    in_use: Mapping[str, str] = field(default_factory=dict)
    names: AbstractSet[str] = frozenset()
    kept_names: AbstractSet[str] = frozenset()
    newest: int = 2


class Fate(enum.Enum):
    """What becomes of an output."""

    NEEDED = "needed"
    UNKNOWN = "unknown"
    """Nothing needs it, and no given pipeline declares its name: it may be another project's."""
    UNNEEDED = "unneeded"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an output, and why, in words."""

    output: Inventoried
    fate: Fate
    why: str


def judge(outputs: Sequence[Inventoried], needs: Needs) -> list[Verdict]:
    """Return what becomes of each output, in their order.

    Args:
        outputs: all outputs under the prefix.
        needs: what is to be kept.

    """
    newest = _newest(outputs, needs.newest)
    adopted = [it.adopted_from for it in outputs if it.adopted_from is not None]
    reasons: dict[str, str] = {}
    for output in outputs:
        if (why := _root(output, needs, newest, adopted)) is not None:
            reasons[output.path] = why
    _follow(outputs, reasons)
    verdicts = []
    for output in outputs:
        if (why := reasons.get(output.path)) is not None:
            verdicts.append(Verdict(output, Fate.NEEDED, why))
        elif output.name in needs.names:
            verdicts.append(Verdict(output, Fate.UNNEEDED, "nothing needs this identity"))
        else:
            verdicts.append(Verdict(output, Fate.UNKNOWN, "no given pipeline declares its name"))
    return verdicts


def _root(
    output: Inventoried, needs: Needs, newest: AbstractSet[str], adopted: Iterable[str]
) -> str | None:
    """Return the rule by which an output is needed for itself; None if there is none."""
    where = needs.paths.get(output.path) or needs.declared.get(output.target)
    if where is not None:
        return f"declared by {where}"
    if output.damage:
        return output.damage
    if not output.is_ours:
        return "nothing shows that marin-build made it there"
    if output.holds_others:
        return "another output lies inside it"
    if output.adopted_from is not None:
        return "adopted"
    if any(_meet(output.path, place) for place in adopted):
        return "adopted as another output"
    if output.is_held and output.lease is not None:
        return f"held by {output.lease.describe()}"
    if (run := needs.in_use.get(output.target)) is not None:
        return f"in use by {run}"
    if output.keep or output.name in needs.kept_names:
        return "keep=True"
    if output.path in newest:
        count = needs.newest
        return "the newest build of its name" if count == 1 else f"one of the {count} newest builds"
    return None


def _follow(outputs: Sequence[Inventoried], reasons: dict[str, str]) -> None:
    """Add what outputs that are needed were made from, by their records, and so on."""
    known = {key: output for output in outputs for key in (output.target, output.path)}
    pending = [output for output in outputs if output.path in reasons]
    while pending:
        reader = pending.pop()
        for need in reader.needs:
            found = known.get(need)
            if found is not None and found.path not in reasons:
                reasons[found.path] = f"{reader.target} was made from it"
                pending.append(found)


def _newest(outputs: Sequence[Inventoried], count: int) -> set[str]:
    """Return the paths of the newest builds of each name."""
    by_name: dict[str, list[Inventoried]] = defaultdict(list)
    for output in outputs:
        if output.is_built and output.is_ours:
            by_name[output.name].append(output)
    return {
        build.path
        for builds in by_name.values()
        for build in sorted(builds, key=lambda it: (it.end, it.target), reverse=True)[:count]
    }


def _meet(path: str, place: str) -> bool:
    """Return whether two folders are the same, or one lies in the other."""
    return f"{path}/".startswith(f"{place}/") or f"{place}/".startswith(f"{path}/")
