"""What a plan shows, line by line, whatever it is shown as. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from marin_build.declared import shown
from marin_build.estimate import summary_text
from marin_build.explain import describe
from marin_build.plan import Kind
from marin_build.reasons import (
    Adopted,
    Cascade,
    FailedBefore,
    IdentityChanged,
    NeverBuilt,
    UpstreamBlocked,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from marin_build.code.drift import Drift
    from marin_build.estimate import PlanEstimate
    from marin_build.plan import Decision, Plan
    from marin_build.reasons import Reason

Verb = Literal["build", "rebuild", "cascade", "reuse", "adopt", "drift", "wait", "blocked"]
VERBS: tuple[Verb, ...] = get_args(Verb)
RUN_VERBS: tuple[Verb, ...] = ("build", "rebuild", "cascade")
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
LONG = 60.0
"""Seconds from which on a plan says how long it may take: nobody plans by less."""
_MOST_ROWS = 50
"""More lines nobody reads: those that say the same are folded."""
_FEWEST_FOLDED = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a target, or several that have the same to say.

    Args:
        verb: what becomes of it.
        name: the step's name.
        target: its id; for several, what their ids have in common, `tokenize/*`.
        count: how many targets it stands for.
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
    count: int
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
        summary: `plan p-81c2d3e4: 2 to build, 140 reused`.
        next: what follows, in words.
        command: the command that does it; empty if there is none.

    """

    rows: tuple[Row, ...]
    hidden: int
    summary: str
    next: str
    command: str = ""


def verb_of(decision: Decision) -> Verb:
    """Return what becomes of a target, in one word."""
    match decision.kind, decision.reason:
        case Kind.RUN, NeverBuilt():
            return "build"
        case Kind.RUN, Cascade():
            return "cascade"
        case Kind.RUN, IdentityChanged(is_cascade=True):
            return "cascade"
        case Kind.RUN, _:
            return "rebuild"
        case Kind.REUSE, Adopted():
            return "adopt"
        case Kind.REUSE, _:
            return "reuse"
        case Kind.WAIT, _:
            return "wait"
    return "blocked"


def show(
    plan: Plan,
    plan_id: str,
    again: tuple[str, str],
    estimate: PlanEstimate,
    drift: Mapping[int, Drift],
    *,
    verbose: bool = False,
    only: Collection[Verb] = (),
) -> Shown:
    """Return what a plan shows.

    Args:
        plan: the plan.
        plan_id: its short name.
        again: what to do with it, in words, and the command that does it, if there is one.
        estimate: how long it may take, and what it may cost.
        drift: how the code of reused targets changed since they were built, by index.
        verbose: a line for each target, reused ones too, and where it is declared.
        only: lines of these verbs only.

    """
    rows: list[Row] = []
    verbs = Counter[Verb]()
    for decision in plan.decisions:
        row = _row(plan, decision, estimate, drift.get(decision.index), verbose=verbose)
        verbs[row.verb] += 1
        if row.verb in only if only else verbose or row.verb != "reuse":
            rows.append(row)
    pruned = sorted(drift.keys() - {decision.index for decision in plan.decisions})
    if not only or "drift" in only:
        rows.extend(_drifted(plan, index, drift[index], verbose=verbose) for index in pruned)
    hidden = 0 if verbose or only else verbs["reuse"] + plan.pruned - len(pruned)
    kept = rows if verbose else folded(rows)
    return Shown(tuple(kept), hidden, _summary(plan, plan_id, verbs, estimate), *_next(plan, again))


def _row(
    plan: Plan,
    decision: Decision,
    estimate: PlanEstimate,
    drift: Drift | None,
    *,
    verbose: bool,
) -> Row:
    if drift is not None:
        return _drifted(plan, decision.index, drift, verbose=verbose)
    target, reason = plan.targets.all[decision.index], decision.reason
    is_own_change = isinstance(reason, IdentityChanged) and not reason.is_cascade
    why = printable(describe(reason))
    row = Row(
        verb_of(decision),
        target.name,
        target.id,
        1,
        why,
        _topic(reason) or why,
        _place(plan, decision.index) if verbose or is_own_change else "",
    )
    if decision.kind is Kind.REUSE:
        return row
    resources = target.step.resources
    row = replace(row, resources=resources.summary() if resources is not None else "")
    one = estimate.steps.get(decision.index)
    if one is None or not _is_long(estimate):
        return row
    return replace(row, seconds=one.seconds, cost=one.cost)


def _drifted(plan: Plan, index: int, drift: Drift, *, verbose: bool) -> Row:
    place = _place(plan, index) if verbose else ""
    target, why = plan.targets.all[index], f"{printable(drift.text)}; reused"
    return Row("drift", target.name, target.id, 1, why, why, place)


def _topic(reason: Reason) -> str:
    match reason:
        case IdentityChanged(is_cascade=True) | Cascade():
            return "needs what changed"
        case IdentityChanged(changes=changes) if changes:
            paths = dict.fromkeys(change.path for change in changes)
            return printable(f"{', '.join(paths)} changed")
        case FailedBefore():
            return "failed before"
        case UpstreamBlocked():
            return "needs what is blocked"
    return ""


def _place(plan: Plan, index: int) -> str:
    targets = plan.targets
    return printable(shown(targets.all[index].step.declared, targets.workspace.project))


def printable(text: str) -> str:
    """Return a text without what a terminal would obey, or what turns the reading direction."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def folded(rows: Sequence[Row]) -> list[Row]:
    """Return rows that people read: where there are too many, those that say the same become one.

    At first those of one step name, then those of one folder; then what differs is left out of the
    reasons, and in the end the names are.
    """
    shorter = list(rows)
    for say_of, pattern_of in (
        (_why, _same_name),
        (_why, _folder),
        (_topic_of, _same_name),
        (_topic_of, _folder),
        (_topic_of, _everything),
    ):
        if len(shorter) <= _MOST_ROWS:
            break
        shorter = _fold(shorter, say_of, pattern_of)
    return shorter


def _why(row: Row) -> str:
    return row.why


def _topic_of(row: Row) -> str:
    return row.topic


def _same_name(row: Row) -> str:
    return f"{row.name}_*"


def _folder(row: Row) -> str:
    head, slash, _ = row.name.rpartition("/")
    return f"{head}{slash}*"


def _everything(_row: Row) -> str:
    return "*"


def _fold(
    rows: Sequence[Row], say_of: Callable[[Row], str], pattern_of: Callable[[Row], str]
) -> list[Row]:
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        key = (row.verb, say_of(row), row.place, row.resources, pattern_of(row))
        groups.setdefault(key, []).append(row)
    found: list[Row] = []
    for (_, words, _, _, pattern), group in groups.items():
        if sum(row.count for row in group) < _FEWEST_FOLDED:
            found.extend(group)
        else:
            found.append(_merged(words, pattern, group))
    return found


def _merged(words: str, pattern: str, group: Sequence[Row]) -> Row:
    seconds = [row.seconds for row in group if row.seconds is not None]
    costs = [row.cost for row in group if row.cost is not None]
    is_one_name = len({row.target for row in group}) == 1
    return replace(
        group[0],
        target=group[0].target if is_one_name else pattern,
        count=sum(row.count for row in group),
        why=words,
        seconds=sum(seconds) if seconds else None,
        cost=sum(costs) if costs else None,
    )


def _is_long(estimate: PlanEstimate) -> bool:
    return (estimate.total_seconds or 0.0) >= LONG


def _summary(plan: Plan, plan_id: str, verbs: Counter[Verb], estimate: PlanEstimate) -> str:
    counts = plan.summary()
    kinds = [f"{verbs[verb]} {verb}" for verb in RUN_VERBS if verbs[verb]]
    parts = [f"{counts['run']} to build" + (f" ({', '.join(kinds)})" if len(kinds) > 1 else "")]
    for count, words in (
        (counts["wait"], "built by somebody else"),
        (counts["blocked"], "blocked"),
        (verbs["adopt"], "adopted"),
    ):
        if count:
            parts.append(f"{count} {words}")
    parts.append(f"{counts['reuse'] - verbs['adopt'] + counts['pruned']} reused")
    text = f" - {summary_text(estimate)}" if _is_long(estimate) else ""
    return f"plan {plan_id}: {', '.join(parts)}{text}"


def _next(plan: Plan, again: tuple[str, str]) -> tuple[str, str]:
    counts = plan.summary()
    if counts["run"]:
        return again
    if not counts["wait"] and not counts["blocked"]:
        return "nothing to do: everything requested is built", ""
    return "", ""
