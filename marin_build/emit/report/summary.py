"""The top of a report: what it is in one sentence, and the facts about the whole."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, get_args

from marin_build.emit.graph.picture import STATES
from marin_build.emit.report.facts import Absent
from marin_build.text.moments import moment_text
from marin_build.text.readable import duration_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from marin_build.emit.report.facts import Build, Report, ReportedTarget


DIGITS = 12
"""Of a commit or a digest that are shown."""
_MOST_NAMES = 3
_SAID = {"to build": "to be built", "held": "being built by another run"}


def state_of(target: ReportedTarget) -> str:
    """Return the state of a target as a report says it."""
    return target.absent or target.node.state


def state_counts(targets: Iterable[ReportedTarget]) -> list[tuple[str, int]]:
    """Return how many targets are in each state; states of none are left out."""
    counts = Counter(map(state_of, targets))
    return [(state, counts[state]) for state in (*STATES, *get_args(Absent)) if counts[state]]


def sentence(report: Report) -> str:
    """Return what the page is, and how far the work is, in one sentence or two."""
    return _how_far(report) + _what_waits(report)


def _what_waits(report: Report) -> str:
    names = [f"\u201c{each.node.name}\u201d" for each in report.waiting]
    return f" The steps of {_listed(names)} are not known yet." if names else ""


def _how_far(report: Report) -> str:
    total, states = len(report.targets), state_counts(report.targets)
    if not total:
        return "A report on a pipeline that requests no targets."
    made_from = " and what it was made from" if total > len(report.requested) else ""
    if len(report.requested) > 1:
        made_from = made_from.replace("it was", "they were")
    what = f"A report on {_names(report)}{made_from}"
    if len(states) == 1 and states[0][0] == "built":
        count = {1: "it is", 2: "both are"}.get(total, f"all {total} targets are")
        return f"{what}: {count} built."
    words = ", ".join(f"{count} {_with_verb(state, count)}" for state, count in states)
    return f"{what}: of {total} target{'s' if total > 1 else ''}, {words}."


def _with_verb(state: str, count: int) -> str:
    """Return a state as what is said of so many targets."""
    words = _SAID.get(state, state)
    if state == "failed":
        return words
    return f"{'is' if count == 1 else 'are'} {words}"


def _names(report: Report) -> str:
    requested = set(report.requested)
    names = [f"\u201c{t.node.name}\u201d" for t in report.targets if t.node.id in requested]
    names = list(dict.fromkeys(names))
    if len(names) > _MOST_NAMES:
        return f"{len(requested)} targets"
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + "".join(names[-1:])


def builds_of(report: Report) -> list[Build]:
    """Return the builds of all targets that a step built."""
    return [t.build for t in report.targets if t.build is not None and not t.build.adopted_from]


def facts(report: Report) -> Iterator[tuple[str, str]]:
    """Yield what is known of the whole: label and text."""
    about, builds = report.about, builds_of(report)
    ends = sorted(build.end for build in builds if build.end)
    if ends:
        first, last = moment_text(ends[0], "minutes"), moment_text(ends[-1], "minutes")
        yield "built", first if first == last else f"{first} to {last}"
    if by := _listed(build.by for build in builds if build.by):
        yield "by", by
    if seconds := math.fsum(build.seconds for build in builds):
        of = f" in {len(builds)} steps" if len(builds) > 1 else ""
        yield "work", f"{duration_text(seconds)}{of}, if it were done one after the other"
    if code := code_text(builds):
        yield "code", code
    for waiting in report.waiting:
        yield "not known yet", f"{waiting.node.name}: {waiting.node.reason}"
    drifted = sum(bool(target.details.now.drift) for target in report.targets)
    if drifted:
        are = "target was" if drifted == 1 else "targets were"
        yield "drift", f"{drifted} {are} built by other code, or in another environment, than today"
    if report.parameters:
        yield "parameters", ", ".join(f"{k}={v}" for k, v in sorted(report.parameters.items()))
    yield "outputs", about.prefix
    yield "engine", about.engine
    yield "plan", about.summary.removeprefix("plan ")


def code_text(builds: Sequence[Build]) -> str:
    """Return from which states of the code some outputs were built; empty if that is not known."""
    commits = dict.fromkeys(build.commit for build in builds if build.commit)
    if not commits:
        return ""
    dirty = any(build.is_dirty for build in builds)
    text = "commit " if len(commits) == 1 else f"{len(commits)} commits: "
    text += _listed(commit[:DIGITS] for commit in commits)
    return text + (", with changes that were not committed" if dirty else "")


def _listed(words: Iterable[str]) -> str:
    found = list(dict.fromkeys(words))
    more = [f"and {len(found) - _MOST_NAMES} more"] if len(found) > _MOST_NAMES else []
    return ", ".join([*found[:_MOST_NAMES], *more])
