"""Reasons in words."""

from __future__ import annotations

import shlex
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, assert_never

from marin_build.plan import block_reasons as blocks
from marin_build.plan import reasons as why
from marin_build.text.moments import moment_text
from marin_build.text.readable import bytes_text, first_line
from marin_build.text.secret_shapes import masked_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.plan.decisions import Decision
    from marin_build.plan.reasons import Reason


def reason_kind(reason: Reason) -> str:
    """Return the stable name of a reason, as in `plan --json`: `never_built`."""
    return kind_name(type(reason))


def kind_name(kind: type[object]) -> str:
    """Return the stable name of a kind of reasons: `never_built` of `NeverBuilt`."""
    return _kind_name(kind.__name__)


@cache  # asked for with every line of a plan
def _kind_name(name: str) -> str:
    return "".join("_" + char.lower() if char.isupper() else char for char in name).lstrip("_")


def describe(reason: Reason) -> str:
    """Return a reason for people: lower case, a few words."""
    if isinstance(reason, why.RunReason):
        return _why_run(reason)
    if isinstance(reason, blocks.BlockReason):
        return _why_blocked(reason)
    return _why_wait(reason) if isinstance(reason, why.WaitReason) else _why_reused(reason)


NOT_READ = "not read: every target that needs it is built"
"""Why a PRUNED target has no decision."""


def describe_decision(decision: Decision, say: Callable[[Reason], str] = describe) -> str:
    """Return why a target has its decision, for people, down to what changed.

    Args:
        decision: the decision.
        say: `describe`, or `describe_stably` for emitted files.

    """
    return describe_all(decision.reasons, say)


def describe_all(reasons: Sequence[Reason], say: Callable[[Reason], str] = describe) -> str:
    """Return the reasons of one decision in words: the first, what changed, what is deleted."""
    first, *others = reasons
    changed = [
        f"; changed since it was built: {say(x)}"
        for x in others
        if isinstance(x, why.IdentityChanged)
    ]
    deletes = [f"; {say(x)}" for x in others if isinstance(x, why.Overwrites)]
    return "".join([say(first), *changed[:1], *deletes[:1]])


_STABLE: Mapping[type[Reason], str] = {
    why.HeldBy: "another run builds it",
    why.HeldByWork: "its holder is dead, but its work is alive",
    why.Interrupted: "interrupted",
    why.Doubtful: "built, but the machine went down before it was surely on disk",
    why.SealedBefore: "committed, about to be published",
    why.BuiltBefore: "built",
}


def describe_stably(reason: Reason) -> str:
    """Return a reason for emitted files: without times, runs and hosts."""
    match reason:
        case why.OutputVanished(lost=lost):
            return f"built before, but {_first_of(lost) or 'its status is gone'}"
        case why.FailedBefore():  # a message may hold anything, a secret too
            return describe(replace(reason, by="", at="", message=""))
        case why.Tainted():
            return describe(replace(reason, by="", at=""))
        case blocks.DeviceMissing():
            return f"{_needs_devices(reason)}, which the machine that planned lacks"
        case blocks.SeveralHosts():  # installed engines differ between machines
            return describe(replace(reason, engines=()))
        case blocks.Unreadable(what=what):
            return f"its {what} is not readable"
        case blocks.ForeignData(files=files, size=size, paths=paths):
            return f"foreign data: {_data_text(files, size, paths)}"
        case blocks.NotAFolder(found=found):
            return f"{found.partition(' to `')[0]} lies in the place of its output"
        case why.Accepted():
            return describe(replace(reason, accepted_by="", accepted_at=""))
    return _STABLE.get(type(reason)) or describe(reason)


def _why_run(reason: why.RunReason) -> str:
    match reason:
        case why.NeverBuilt():
            return "never built"
        case why.IdentityChanged(changes=changes, since=since):
            return _what_changed(changes, since)
        case why.FailedBefore():
            return _how_it_failed(reason)
        case why.Interrupted(by=by):
            return f"interrupted (the run by {by} is gone)" if by else "interrupted"
        case why.Doubtful(run=run):
            return f"built by run {run}, but the machine went down before it was surely on disk"
        case why.OutputVanished(run=run, by=by, at=at, lost=lost):
            built = f"built{_when_by(at, by)}{f', run {run}' if run else ''}"
            return f"{built}, but {_first_of(lost) or 'its status is gone'}"
        case why.Tainted(reason=words, by=by, at=at):
            return f"tainted{_when_by(at, by)}: {words}"
        case why.Forced():
            return "forced"
        case why.DevVersion():
            return "dev version, rebuilt each time"
        case why.AssumedChanged():
            return "assumed to have changed"
        case why.Cascade(upstream=upstream):
            return f"needs {upstream}, which is rebuilt"
        case why.Overwrites(files=files, size=size, paths=paths):
            return f"deletes foreign data: {_data_text(files, size, paths)} (--overwrite)"
        case why.DependencyFailed():
            return "a dependency failed when it was last tried"
        case why.LetGo() | why.Deleted():
            return _DELETED[type(reason)]
    assert_never(reason)


_DELETED = {
    why.LetGo: "its output was deleted once what needs it was built (temp=True)",
    why.Deleted: "gc has begun to delete it",
}


def _first_of(words: Sequence[str]) -> str:
    """Return the first of some words, and how many more there are; empty if there are none."""
    more = f" and {len(words) - 1} more" if len(words) > 1 else ""
    return f"{words[0]}{more}" if words else ""


def _how_it_failed(failure: why.FailedBefore) -> str:
    if not failure.attempt:
        return "failed before"
    line = first_line(failure.message)
    detail = masked_text(line) if line else f"exit code {failure.exit_code}"
    who = _when_by(failure.at, failure.by)
    return f"failed before (attempt {failure.attempt}{',' if who else ''}{who}): {detail}"


def _when_by(at: str, by: str) -> str:
    """Return ` 2026-11-21 10:20 UTC by ada@host`; empty if time or name is unknown."""
    return f" {moment_text(at, 'minutes')} by {by}" if at and by else ""


def _what_changed(changes: Sequence[why.Change], since: str) -> str:
    """Return the first change, and how many more there are."""
    if not changes:
        return f"built as {since}, which differs by its hash only"
    more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
    because = f": {changes[0].because}" if changes[0].because else ""
    return f"{changes[0].text}{because}{more}"


def _why_wait(reason: why.WaitReason) -> str:
    match reason:
        case why.HeldBy(by=by, renewed=renewed, time_to_live=lease):
            when = moment_text(renewed)
            return f"held by {by}; renewed {when} by its own clock, lease {lease:.0f} s"
        case why.HeldByWork(by=by, pid=pid, command=command, processes=count):
            process = f"pid {pid} (`{command}`)" if pid else "a process that is not visible"
            more = f" and {count - 1} more" if count > 1 else ""
            return (
                f"its holder {by} is dead, but {process}{more} still works on it "
                "(wait, or `marin-build unlock TARGET --kill`)"
            )
    assert_never(reason)


def _why_reused(reason: why.ReuseReason) -> str:
    match reason:
        case why.BuiltBefore(run=run, by=by, at=at):
            return f"built{_when_by(at, by)}" + (f", run {run}" if run else "")
        case why.Accepted(reason=words, accepted_by=by, accepted_at=at):
            return f"its code or environment changed, accepted{_when_by(at, by)}: {words}"
        case why.Adopted(location=location, files=files, size=size):
            many = f"{files} file{'s' if files != 1 else ''}"
            return f"existing output, {many} verified, {bytes_text(size)}: {location}"
        case why.AssumedBuilt():
            return "assumed to be built"
        case why.SealedBefore(by=by):
            return f"committed by {by}, about to be published"
    assert_never(reason)


def _why_blocked(reason: blocks.BlockReason) -> str:
    match reason:
        case blocks.FailureKept(attempt=attempt):
            return f"failed previously{_number_of(attempt)}"
        case blocks.ResultNotSaved(attempt=attempt):
            return f"finished{_number_of(attempt)}, {_NOT_SAVED}"
        case blocks.UpstreamBlocked(upstream=upstream):
            return f"needs {upstream}, which is blocked"
        case blocks.NothingBuildsIt():
            return "nothing builds it, and its output is not there"
        case blocks.Unreadable(what=what, path=path):
            return f"its {what} is not readable: {path} ({_WAYS_OUT[what]})"
        case blocks.ForeignData(name=name, files=files, size=size, paths=paths):
            data = _data_text(files, size, paths)
            return (
                f"foreign data: {data}, which no build of ours left ({_WAYS_FOR_DATA.format(name)})"
            )
        case blocks.NotAFolder(found=found, path=path):
            way_out = f"remove it: rm {shlex.quote(path)}; or give the step another output path"
            return f"{found} lies in the place of its output: {path} ({way_out})"
        case blocks.OutputAltered(changes=changes):
            ways = "put that right, or build it again with --force or `marin-build taint`"
            return f"its output was changed since it was built: {_first_of(changes)} ({ways})"
        case blocks.DeviceMissing(device=device, found=found):
            here = f"this machine has {found or 'none'}"
            given = f"--budget {device}={reason.needed} if it has them after all"
            return f"{_needs_devices(reason)}, {here} ({_ways_out(reason.engines, given)})"
        case blocks.SeveralHosts(hosts=hosts, engines=engines):
            ways = _ways_out(engines)
            return f"runs on {hosts} machines at once" + (f" ({ways})" if ways else "")
        case blocks.BlockedInPlan():
            return "blocked when the plan was made"
        case blocks.OverBudget(budget=name, needed=needed, found=found):
            return f"needs {needed} of the budget `{name}`, and there is {found} (--budget)"
    assert_never(reason)


def _data_text(files: int, size: int, paths: Sequence[str]) -> str:
    if not files:
        return "empty folders"
    shown = f"`{paths[0]}`{f' and {files - 1} more' if files > 1 else ''}" if paths else "its files"
    return f"{shown}, {bytes_text(size)}"


def _number_of(attempt: int) -> str:
    return f" (attempt {attempt})" if attempt else ""


_NOT_SAVED = (
    "but what it returned could not be saved: its output is kept "
    "(marin-build commit, or --force builds it again)"
)
_WAYS_FOR_DATA = (
    "keep it: marin-build adopt {0}; delete it: --overwrite {0}; "
    "or give the step another version or output path"
)
_WAYS_OUT = {
    "record": "delete it to use the output without its history, or build it again with --force",
    "status": "look at the output; write FAILED into the file to build it again",
    "lease": "make sure that no run builds it, then delete the file",
    "taint": "delete it, and taint the target again",
}


def _needs_devices(reason: blocks.DeviceMissing) -> str:
    word = {"gpu": "GPU", "tpu": "TPU chip"}[reason.device]
    return f"needs {reason.needed} {word}{'s' if reason.needed != 1 else ''}"


def _ways_out(engines: Sequence[str], *others: str) -> str:
    """Return the options that help if this machine has too little."""
    return ", or ".join([*(f"--engine {name}" for name in engines), *others])
