"""The lines of a plan, whatever it is shown as; where there are too many, like ones become one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from marin_build.emit.fold_rows import everything, folder, same_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.plan.plan_summary import Verb


SYMBOLS: Mapping[Verb, str] = {
    "build": "+",
    "rebuild": "~",
    "cascade": "!",
    "reuse": "=",
    "adopt": ">",
    "drift": "~",
    "wait": "?",
    "blocked": "x",
}
_MOST_ROWS = 50
"""More lines are too many to read: those that say the same are folded."""
_FEWEST_FOLDED = 3


class Row(NamedTuple):
    """One line: a target, or several that have the same to say. A tuple: there may be 100,000.

    Args:
        verb: what becomes of it.
        name: the step's name.
        target: its id; for several, what their ids have in common, `tokenize/*`.
        targets: how many it stands for.
        why: the reason, in words; no control characters.
        topic: the reason without what tells one target from another.
        place: file and line of the declaration; empty where that tells nothing.
        seconds: how long it may take; None if that is not known, or not worth a word.
        resources: what it runs on; empty for this machine.
        cost: US dollars; None if not known.

    """

    verb: Verb
    name: str
    target: str
    targets: int
    why: str
    topic: str
    place: str = ""
    seconds: float | None = None
    resources: str = ""
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A plan for people: its lines, what is left out, and the sum.

    Args:
        rows: the lines, dependencies first.
        hidden: how many reused targets have no line.
        warnings: what should be thought about before it is run.
        summary: `plan p-81c2d3e4: 2 to build, 140 reused`.
        next: what follows, in words.
        command: the command that does it; empty if there is none.

    """

    rows: tuple[Row, ...]
    hidden: int
    warnings: tuple[str, ...]
    summary: str
    next: str
    command: str = ""


def folded(rows: Sequence[Row]) -> list[Row]:
    """Return rows that people read: where there are too many, those that say the same become one.

    At first those of one step name, then those of one folder; then what differs is left out of the
    reasons, and in the end the names are.
    """
    shorter = list(rows)
    repeats = len({row.name for row in rows}) < len(rows)
    for say_of, pattern_of in (
        (_why, same_name),
        (_why, folder),
        (_topic_of, same_name),
        (_topic_of, folder),
        (_topic_of, everything),
    ):
        if len(shorter) <= _MOST_ROWS:
            break
        if pattern_of is same_name and not repeats:
            continue
        shorter = _fold(shorter, say_of, pattern_of)
    return shorter


def folded_alike(rows: Sequence[Row]) -> list[Row]:
    """Return rows of which those that say the same are one, however few they are."""
    return _fold(_fold(rows, _why, folder), _why, everything)


def _why(row: Row) -> str:
    return row.why


def _topic_of(row: Row) -> str:
    return row.topic


def _fold(
    rows: Sequence[Row], say_of: Callable[[Row], str], pattern_of: Callable[[str], str]
) -> list[Row]:
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        key = (row.verb, say_of(row), row.place, row.resources, pattern_of(row.name))
        groups.setdefault(key, []).append(row)
    if len(groups) == len(rows):
        return list(rows)
    found: list[Row] = []
    for (_, words, _, _, pattern), group in groups.items():
        if sum(row.targets for row in group) < _FEWEST_FOLDED:
            found.extend(group)
        else:
            found.append(_merged(words, pattern, group))
    return found


def _merged(words: str, pattern: str, group: Sequence[Row]) -> Row:
    seconds = [row.seconds for row in group if row.seconds is not None]
    costs = [row.cost for row in group if row.cost is not None]
    is_one_name = len({row.target for row in group}) == 1
    return group[0]._replace(
        target=group[0].target if is_one_name else pattern,
        targets=sum(row.targets for row in group),
        why=words,
        seconds=sum(seconds) if seconds else None,
        cost=sum(costs) if costs else None,
    )
