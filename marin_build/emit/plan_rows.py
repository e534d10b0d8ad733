"""The lines of a plan, the same for every format; too many similar ones are merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from marin_build.emit.fold_rows import everything, folder, same_name
from marin_build.quick_dataclass import dataclass

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
    "expand": "?",
}
MOST_ROWS = 50
"""A plan with more lines is too long to read: lines with the same facts are merged."""
FEWEST_FOLDED = 3
"""So many targets or more are merged into one line."""


class Row(NamedTuple):
    """One line: a target, or several with the same facts. A tuple, as there may be 100,000.

    Args:
        verb: what the plan does with it.
        name: the step's name.
        target: its id; for several targets a pattern, `tokenize/*`.
        targets: how many targets the line stands for.
        why: the reason, in words; no control characters.
        topic: the reason without the words that differ from target to target.
        place: file and line of the declaration; empty if the line need not show it.
        seconds: how long it may take; None if that is unknown, or too short to show.
        resources: the engine it is sent to, and the resources it runs on; empty for this machine.
        cost: US dollars; None if unknown.
        spec: the file that the engine gets; empty if there is none, or none was written.

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
    spec: str = ""


WaysOut = tuple[tuple[str, str], ...]
"""What can be done about drift, in words, and the command or the declaration for that."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A plan for people: its lines, a count of hidden ones, and a summary.

    Args:
        rows: the lines, dependencies first.
        hidden: how many reused targets have no line.
        warnings: things that a person should check before running the plan.
        summary: `plan p-81c2d3e4: 2 to build, 140 reused`.
        next: what to do next, in words.
        command: the command line for that; empty if there is none.
        ways_out: what can be done about drift, in words, and the command or declaration for that.

    """

    rows: tuple[Row, ...]
    hidden: int
    warnings: tuple[str, ...]
    summary: str
    next: str
    command: str = ""
    ways_out: WaysOut = ()


def folded(rows: Sequence[Row]) -> list[Row]:
    """Return few enough rows for people: too many of them are merged where they say the same.

    At first rows of one step name are merged, then those of one folder. If that is not enough, they
    are merged by topic instead of reason, and at last regardless of their names.
    """
    shorter = list(rows)
    repeats = _repeat([row.name for row in rows])
    for say_of, pattern_of in (
        (_why, same_name),
        (_why, folder),
        (_topic_of, same_name),
        (_topic_of, folder),
        (_topic_of, everything),
    ):
        if len(shorter) <= MOST_ROWS:
            break
        if pattern_of is same_name and not repeats:
            continue
        shorter = _fold(shorter, say_of, pattern_of)
    return shorter


def first_pattern(names: Sequence[str]) -> Callable[[str], str]:
    """Return the pattern by which `folded` merges rows of steps with these names at first."""
    return same_name if _repeat(names) else folder


def _repeat(names: Sequence[str]) -> bool:
    return len({*names}) < len(names)


def folded_alike(rows: Sequence[Row]) -> list[Row]:
    """Return rows, merged where they say the same, even if there are few."""
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
        if sum(row.targets for row in group) < FEWEST_FOLDED:
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
        spec=group[0].spec if is_one_name else "",
    )
