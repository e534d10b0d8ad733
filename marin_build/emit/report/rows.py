"""The tables of a report: plan, durations against what was expected, runs, code, environment."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from marin_build.emit.report.summary import DIGITS, builds_of, state_of
from marin_build.text.moments import moment_text
from marin_build.text.readable import cost_text, duration_text, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.emit.report.facts import Build, Report, ReportedTarget


MOST_ROWS = 2000
"""Targets that a page lists; further ones are counted."""
_MOST_BARS = 40
_URGENT = ("failed", "blocked", "held", "stale", "to build", "let go", "not built", "built")
_LONGEST_WHY = 400
_LONGEST_COMMAND = 400
_NEAR = 0.05
"""A difference of so small a part, or of so few seconds, is none."""


def plan_rows(report: Report, place: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return a row for each target; what needs a person first, else dependencies first."""
    ordered = sorted(report.targets, key=lambda target: _URGENT.index(state_of(target)))
    requested = set(report.requested)
    is_part = 2 * len(requested) <= len(report.targets)  # else nearly all lines would say so
    return [
        {
            "place": place[target.node.id],
            "name": target.node.name,
            "state": state_of(target),
            "is_requested": is_part and target.node.id in requested,
            "why": shortened(target.node.reason, _LONGEST_WHY),
            "drift": shortened(target.details.now.drift, _LONGEST_WHY),
            "on": target.node.resources,
            "took": took_text(target.build),
            "expected": expected_text(target),
        }
        for target in ordered[:MOST_ROWS]
    ]


def took_text(build: Build | None) -> str:
    """Return how long a build took; empty if that is not known."""
    return duration_text(build.seconds) if build is not None and build.seconds else ""


def expected_text(target: ReportedTarget, *, says_of: bool = False) -> str:
    """Return what building a target takes by earlier builds, with its cost if it is to be built."""
    found = []
    if target.expected is not None:
        count = target.expected.count
        of = f" (median of {count} builds)" if says_of and count > 1 else ""
        found.append(duration_text(target.expected.seconds) + of)
    if target.details.now.cost is not None:
        found.append(cost_text(target.details.now.cost))
    return ", ".join(found)


def duration_rows(report: Report, place: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the slowest targets, with what each took and what was expected, as bars of 100."""
    timed = [
        (target, took, expected)
        for target in report.targets
        for took in [target.build.seconds if target.build is not None else 0.0]
        for expected in [target.expected.seconds if target.expected is not None else None]
        if took > 0 or expected is not None
    ]
    timed.sort(key=lambda item: -(item[1] or item[2] or 0.0))
    longest = max((max(took, expected or 0.0) for _, took, expected in timed), default=0.0) or 1.0
    return [
        {
            "place": place[target.node.id],
            "name": target.node.name,
            "took": duration_text(took) if took > 0 else "",
            "expected": duration_text(expected) if expected is not None else "",
            "builds": target.expected.count if target.expected is not None else 0,
            "difference": _difference(took, expected),
            "took_bar": f"{100 * took / longest:.1f}",
            "expected_bar": f"{100 * expected / longest:.1f}" if expected is not None else "",
        }
        for target, took, expected in timed[:_MOST_BARS]
    ]


def _difference(took: float, expected: float | None) -> str:
    """Return a duration compared with what was expected, in words."""
    if expected is None or took <= 0 or expected <= 0:
        return ""
    apart = took - expected
    if abs(apart) < _NEAR or abs(apart) < _NEAR * expected:
        return "as expected"
    return f"{duration_text(abs(apart))} {'slower' if apart > 0 else 'faster'}"


def run_rows(report: Report) -> list[dict[str, Any]]:
    """Return the runs that built the outputs, the first one first."""
    groups: dict[tuple[Any, ...], list[Build]] = {}
    for build in builds_of(report):
        key = (build.run, build.by, build.commit, build.is_dirty, build.written_by, build.python)
        groups.setdefault((*key, build.argv), []).append(build)
    rows = sorted(groups.items(), key=lambda item: min(build.end for build in item[1]))
    return [
        {
            "run": builds[0].run,
            "by": builds[0].by,
            "when": _when(builds),
            "targets": len(builds),
            "commit": builds[0].commit[:DIGITS],
            "is_dirty": bool(builds[0].is_dirty),
            "programs": _programs(builds[0]),
            "command": shortened(_command(builds[0].argv), _LONGEST_COMMAND),
        }
        for _, builds in rows[:MOST_ROWS]
    ]


def _when(builds: Sequence[Build]) -> str:
    ends = sorted(build.end for build in builds)
    first, last = (moment_text(end, "minutes") for end in (ends[0], ends[-1]))
    return first if first == last else f"{first} to {last}"


def _programs(build: Build) -> str:
    python = f"Python {build.python}" if build.python else ""
    return ", ".join(filter(None, (build.written_by, python, build.image)))


def _command(argv: Sequence[str]) -> str:
    """Return a command line; of the program its name alone, as its folder is that of a machine."""
    import shlex

    return shlex.join([argv[0].rpartition("/")[2] or argv[0], *argv[1:]]) if argv else ""


def code_rows(report: Report) -> list[dict[str, Any]]:
    """Return the functions and commands that built the outputs, each with its digests."""
    counts = Counter((b.made_by, b.code) for b in builds_of(report) if b.made_by)
    return [
        {
            "made_by": shortened(made_by, _LONGEST_COMMAND),
            "code": code.removeprefix("sha256:")[:DIGITS],
            "targets": count,
        }
        for (made_by, code), count in sorted(counts.items())[:MOST_ROWS]
    ]


def environment_rows(report: Report) -> list[tuple[str, str]]:
    """Return what the outputs were built in: name, and its version or several."""
    found: dict[str, dict[str, None]] = {}
    for build in builds_of(report):
        named = [
            ("Python", build.python),
            ("marin-build", build.written_by.removeprefix("marin-build ")),
            ("container image", build.image),
            *((name, version or "not installed") for name, version in build.distributions.items()),
            *build.locks.items(),
        ]
        for name, version in named:
            if version:
                found.setdefault(name, {})[version] = None
    return [(name, ", ".join(sorted(versions))) for name, versions in found.items()]
