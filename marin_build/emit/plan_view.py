"""Chooses what a plan shows: lines, warnings and the next command. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from marin_build.emit.plan_rows import (
    FEWEST_FOLDED,
    MOST_ROWS,
    Row,
    Shown,
    first_pattern,
    folded,
    folded_alike,
)
from marin_build.pipeline.declared_at import shown
from marin_build.pipeline.resources import CpuDevice, accelerators_text
from marin_build.plan.block_reasons import (
    ForeignData,
    NotAFolder,
    OutputAltered,
    Unreadable,
    UpstreamBlocked,
)
from marin_build.plan.plan_summary import is_long, summary_line, verb_of
from marin_build.plan.reason_text import NOT_READ, describe_decision
from marin_build.plan.reasons import Adopted, Cascade, FailedBefore, IdentityChanged, OutputVanished
from marin_build.text.readable import bytes_text, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from marin_build.pipeline.resources import ResourceConfig
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.pipeline.targets import Target
    from marin_build.plan.decisions import Decision, Plan
    from marin_build.plan.drift import Drift
    from marin_build.plan.estimate import Estimate, PlanEstimate
    from marin_build.plan.plan_summary import Verb
    from marin_build.plan.reasons import Reason
    from marin_build.plan.regions import CrossRegionRead


_MOST_WARNINGS = 5
_STAYING: tuple[Verb, ...] = ("reuse", "adopt")


def show(
    plan: Plan,
    plan_id: str,
    again: tuple[str, str],
    estimate: PlanEstimate,
    drift: Mapping[int, Drift],
    *,
    reads: Sequence[CrossRegionRead] = (),
    verbose: bool = False,
    only: Collection[Verb] = (),
    place_of: Callable[[StepSpec], str] | None = None,
    spec_of: Callable[[Target], str] = lambda _target: "",
    price_of: Callable[[ResourceConfig], str] = lambda _resources: "",
    ways_out: Sequence[tuple[str, str]] = (),
) -> Shown:
    """Return what a plan shows.

    Args:
        plan: the plan.
        plan_id: its short name.
        again: what to do next, in words, and the command line for that, or an empty text.
        estimate: its time and cost.
        drift: how the code of reused and pruned targets changed since they were built, by index;
            their lines come after the decisions.
        reads: the reads of steps to build from other regions.
        verbose: whether to show a line for each target, reused ones too, and its declaration.
        only: show only lines with these verbs; empty: all.
        place_of: the engine that a step is sent to; empty for one that is built here, as all are
            without it.
        spec_of: the file that this engine gets; empty where there is none.
        price_of: what an hour of resources costs, in words; empty if that is not known.
        ways_out: what can be done about drift, in words, and the command for that; shown if a line
            about drift is.

    """
    rows: list[Row] = []
    lines: list[tuple[_Words, int]] = []  # rows that say no more than these words
    hidden = plan.pruned
    estimates = estimate.steps if is_long(estimate) else {}
    adopts = any(isinstance(decision.reason, Adopted) for decision in plan.decisions)
    near = _near_what_is_built(plan) if adopts else frozenset()
    said: dict[tuple[int, ...], _Words] = {}  # by reason: many decisions share one
    verbs: Counter[Verb] = Counter()
    every, with_needs = plan.targets.all, plan.targets.traits.with_needs
    is_bare = not (verbose or estimates or with_needs or place_of)
    for decision in plan.decisions:
        index = decision.index
        if index in drift:
            continue
        key = (id(decision.reason), id(decision.changed), id(decision.overwrites))
        words = said.get(key) or said.setdefault(key, _words(decision))
        verbs[words.verb] += 1
        is_quiet = words.verb == "reuse" or (words.verb == "adopt" and index not in near)
        if words.verb in only if only else verbose or not is_quiet:
            if is_bare:
                lines.append((words, index))
                continue
            target = every[index]
            where = ""
            if place_of is not None and words.verb not in _STAYING:
                where = place_of(target.step)
            row = _row(plan, index, words, estimates.get(index), where, verbose=verbose)
            rows.append(_sent(row, target, spec_of, price_of) if where else row)
        else:
            hidden += is_quiet
    rows += _rows_of(plan, lines)
    if verbose or "reuse" in only:
        rows += [_pruned(plan, index) for index in plan.pruned_indices if index not in drift]
    is_drift_shown = bool(drift) and not plan.assumed and (not only or "drift" in only)
    if not only or "drift" in only:
        drifted = [_drifted(plan, index, drift[index], verbose=verbose) for index in drift]
        rows += drifted if verbose else folded_alike(drifted)
    rows += [_waiting(plan, index) for index in plan.waiting if not only or "expand" in only]
    hidden -= len(drift.keys() - {decision.index for decision in plan.decisions})
    return Shown(
        tuple(rows if verbose else folded(rows)),
        0 if verbose or only else hidden,
        _read_warnings(reads, verbose=verbose),
        summary_line(plan_id, plan.summary(), verbs, estimate, len(plan.waiting)),
        *_next(plan, again),
        ways_out=tuple(ways_out) if is_drift_shown else (),
    )


def _rows_of(plan: Plan, lines: Sequence[tuple[_Words, int]]) -> list[Row]:
    """Return rows that say nothing but words: many of them are merged at once.

    So `folded` would merge them at first; but to make a row for each of 100,000 takes long.
    """

    def row(words: _Words, index: int) -> Row:
        return _row(plan, index, words, None, "", verbose=False)

    if len(lines) <= MOST_ROWS:
        return [row(*line) for line in lines]
    every = plan.targets.all
    pattern_of = first_pattern([every[index].name for _, index in lines])
    groups: dict[tuple[Verb, str, str, str], list[tuple[_Words, int]]] = {}
    for line in lines:
        words, index = line
        place = _place(plan, index) if words.is_own else ""
        key = (words.verb, words.why, place, pattern_of(every[index].step.name))
        if (group := groups.get(key)) is None:
            group = groups[key] = []
        group.append(line)
    rows: list[Row] = []
    for (_, _, _, pattern), group in groups.items():
        if len(group) < FEWEST_FOLDED:
            rows += [row(*line) for line in group]
        else:
            rows.append(row(*group[0])._replace(target=pattern, targets=len(group)))
    return rows


def _near_what_is_built(plan: Plan) -> frozenset[int]:
    """Return indices of targets that are requested, or that a target to build needs directly."""
    needed = (dep for index in plan.to_build for dep in plan.targets.deps[index])
    return frozenset(plan.requested).union(needed)


class _Words(NamedTuple):
    """The words of a decision without its target; `is_own`: its line shows the declaration."""

    verb: Verb
    why: str
    topic: str
    is_own: bool


def _words(decision: Decision) -> _Words:
    reason = decision.reason
    why = printable(describe_decision(decision))
    is_own = isinstance(reason, IdentityChanged) and not reason.is_cascade
    topic = _topic(reason) if decision.overwrites is None else ""
    return _Words(verb_of(decision), why, topic or why, is_own)


def _row(
    plan: Plan,
    index: int,
    words: _Words,
    one: Estimate | None,
    where: str,
    *,
    verbose: bool,
) -> Row:
    target = plan.targets.all[index]
    place = _place(plan, index) if verbose or words.is_own else ""
    resources = target.step.resources if words.verb not in _STAYING else None
    needs = resources.summary() if resources is not None else ""
    return Row(
        words.verb,
        target.name,
        target.id,
        1,
        words.why,
        words.topic,
        place,
        one.seconds if one is not None else None,
        f"{where} {needs}".strip(),
        one.cost if one is not None else None,
    )


def _sent(
    row: Row,
    target: Target,
    spec_of: Callable[[Target], str],
    price_of: Callable[[ResourceConfig], str],
) -> Row:
    """Return the row of a step that an engine gets, with all that a reviewer asks of it."""
    resources = target.step.resources
    if resources is None or isinstance(resources.device, CpuDevice):
        return row._replace(spec=spec_of(target))
    told = ", ".join(filter(None, (accelerators_text(resources), price_of(resources))))
    on = f"{row.resources} ({told})" if told else row.resources
    return row._replace(resources=on, spec=spec_of(target))


def _drifted(plan: Plan, index: int, drift: Drift, *, verbose: bool) -> Row:
    is_own = drift.identity is not None and drift.identity.where != ""
    place = _place(plan, index) if verbose or is_own else ""
    text = printable(drift.text)
    why = f"{text}; reused" if drift.identity is None else f"reused, though {text}"
    target = plan.targets.all[index]
    return Row("drift", target.name, target.id, 1, why, why, place)


def _pruned(plan: Plan, index: int) -> Row:
    target, why = plan.targets.all[index], NOT_READ
    return Row("reuse", target.name, target.id, 1, why, why, _place(plan, index))


def _waiting(plan: Plan, index: int) -> Row:
    """Return the line of an expansion whose steps are not known yet."""
    from marin_build.plan.later_selection import names_of

    later = plan.targets.later[index]
    be = "is" if len(later.sources) == 1 else "are"
    why = f"its steps are known once {names_of(plan.targets, later.sources)} {be} built"
    return Row("expand", later.name, later.name, 1, printable(why), printable(why), later.place)


def _topic(reason: Reason) -> str:
    match reason:
        case IdentityChanged(is_cascade=True) | Cascade():
            return "needs targets that changed"
        case IdentityChanged(changes=changes) if changes:
            paths = dict.fromkeys(change.path for change in changes)
            return printable(f"{', '.join(paths)} changed")
        case FailedBefore():
            return "failed before"
        case UpstreamBlocked():
            return "needs blocked targets"
        case Unreadable(what=what):
            return f"its {what} is not readable"
        case ForeignData():
            return "foreign data (keep it: marin-build adopt; delete it: --overwrite)"
        case NotAFolder():
            return "a link or a file lies in the place of its output"
        case OutputVanished(lost=lost) if lost:
            return "its data is gone"
        case OutputAltered():
            return "its output was changed"
    return ""


def _place(plan: Plan, index: int) -> str:
    targets = plan.targets
    return printable(shown(targets.all[index].step.declared, targets.workspace.project))


def _read_warnings(reads: Sequence[CrossRegionRead], *, verbose: bool) -> tuple[str, ...]:
    """Return a warning for each read across regions, those of most bytes first."""
    ordered = sorted(reads, key=lambda read: -(read.size or 0))
    shown_reads = ordered if verbose else ordered[:_MOST_WARNINGS]
    texts = [
        f"{read.target} runs in {' or '.join(read.regions)} and reads {read.read}"
        f"{f', {bytes_text(read.size)},' if read.size is not None else ''} from {read.region}"
        for read in shown_reads
    ]
    if rest := ordered[len(shown_reads) :]:
        size = bytes_text(sum(read.size or 0 for read in rest))
        texts.append(f"{len(rest)} more reads across regions, {size} (-v shows them)")
    return tuple(printable(text) for text in texts)


def _next(plan: Plan, again: tuple[str, str]) -> tuple[str, str]:
    counts = plan.summary()
    if plan.assumed:
        return "what if: this plan cannot be applied", ""
    if counts["run"]:
        return again
    if not plan.requested:
        return "nothing was selected", ""
    if not counts["wait"] and not counts["blocked"]:
        return "nothing to do: everything requested is built", ""
    return "", ""
