"""Runs for people and programs: a row for each, or one with what became of its targets."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from marin_build.apply.run_folder import folder_of
from marin_build.cli.terminal import Styled, echo
from marin_build.cli.views.apply_text import duration
from marin_build.cli.views.columns import columns
from marin_build.plan.document import PLAN_FILE
from marin_build.protocol.layout import log_path, output_under
from marin_build.text.moments import moment_text
from marin_build.text.readable import first_line, printable, shortened
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from marin_build.apply.run_summary import RunTarget, TargetOutcome
    from marin_build.operations.runs.kept_runs import KeptRun
    from marin_build.operations.runs.runs import ListedRuns, ShownRun
    from marin_build.plan.document import PlanDocument


_SCHEMA_VERSION = 1
_HEADING = ("run", "outcome", "began (UTC)", "took", "targets", "by", "command")
_WIDEST = 100
_MOST = 20
_COLOURS = {
    "built": "green",
    "reused": "green",
    "failed": "red",
    "stopped": "red",
    "interrupted": "yellow",
    "running": "cyan",
    "died": "yellow",
}
_WORDS: Mapping[TargetOutcome, str] = {
    "built": "built",
    "reused": "reused",
    "failed": "failed",
    "blocked": "blocked",
    "stopped": "stopped",
    "interrupted": "interrupted",
    "waiting": "left to another run",
    "begun": "begun",
}


def show_runs(listed: ListedRuns) -> None:
    """Print a row for each run, and how many were left out."""
    lines = columns(_HEADING, [_row(run) for run in listed.runs], right={"took"})
    if not listed.runs:
        such = "such run" if listed.is_narrowed else "run"
        echo(f"no {such} is kept under {listed.place.prefix}")
    else:
        echo(lines[0], bold=True)
        for run, line in zip(listed.runs, lines[1:], strict=True):
            before, found, after = line.partition(f"  {run.outcome}")
            echo(before, Styled(found, _COLOURS.get(run.outcome)), after)
    if listed.more:
        older = "1 older run was" if listed.more == 1 else f"{listed.more:,} older runs were"
        echo(f"{older} not looked at: --limit {len(listed.runs) + listed.more}")


def _row(run: KeptRun) -> tuple[str, ...]:
    seconds = run.seconds
    is_known = run.known_from == "journal" and seconds is not None
    return (
        run.id,
        run.outcome,
        moment_text(run.start, "minutes").removesuffix(" UTC"),
        f"{duration(seconds)}{'' if run.took_known else '+'}" if is_known and seconds else "",
        _counts(run),
        run.by,
        shortened(run.command, _WIDEST) if run.argv else _known_from(run),
    )


def _known_from(run: KeptRun) -> str:
    return "(known from records only)" if run.known_from == "records" else ""


def _counts(run: KeptRun) -> str:
    if run.summary is None:
        return ""
    counts = [
        f"{count:,} {_WORDS[outcome]}"
        for outcome in _WORDS
        if (count := run.summary.counts.get(outcome, 0))
    ]
    return ", ".join(counts)


def show_one(shown: ShownRun) -> None:
    """Print a run: facts, then what became of its targets, then how to go on."""
    run = shown.run
    echo(run.id, bold=True)
    for label, text in _facts(shown):
        echo(f"  {label:<10}{printable(text)}".rstrip())
    for line in _next(run):
        echo(printable(line))


def _facts(shown: ShownRun) -> Iterator[tuple[str, str]]:
    run = shown.run
    yield "outcome", f"{run.outcome}{f': {run.why}' if run.why else ''}"
    if run.start:
        took = f", {_took(run)}" if run.known_from == "journal" and run.seconds is not None else ""
        when = "built" if run.known_from == "records" else "began"
        yield when, f"{moment_text(run.start)}{took}"
    yield "by", run.by + (f", process {run.pid}" if run.pid else "")
    if run.argv:
        yield "command", shortened(run.command, 1000)
    if run.commit is not None:
        dirty = ", and changes that were not committed" if run.is_dirty else ""
        yield "code", f"commit {run.commit[:12]}{dirty}"
    if shown.plan is not None:
        yield from _plan_facts(shown.plan)
    yield "targets", _counts(run) or "none"
    yield from _target_lines(shown)
    yield from _places(shown)


def _took(run: KeptRun) -> str:
    text = duration(run.seconds or 0.0)
    return f"took {text}" if run.took_known else f"took at least {text}"


def _plan_facts(plan: PlanDocument) -> Iterator[tuple[str, str]]:
    yield "pipeline", plan.pipeline + (f", on {plan.engine}" if plan.engine != "local" else "")
    asked = plan.requested
    more = f" and {len(asked) - 5:,} more" if len(asked) > 5 else ""  # noqa: PLR2004
    yield "asked for", ", ".join(asked[:5]) + more
    counts = [f"{count:,} to {kind}" for kind, count in plan.summary.items() if count]
    yield (
        "planned",
        ", ".join(counts).replace("to reuse", "reused").replace("to pruned", "not needed"),
    )


def _target_lines(shown: ShownRun) -> Iterator[tuple[str, str]]:
    """Yield what failed or was given up first, then what runs; what was built last."""
    summary = shown.run.summary
    if summary is None:
        return
    order = ("failed", "stopped", "interrupted", "blocked", "waiting", "begun", "built", "reused")
    for outcome in order:
        found = [each for each in summary.targets if each.outcome == outcome]
        for each in found[:_MOST]:
            yield from _target_facts(each, shown)
        if (more := len(found) - _MOST) > 0:
            yield "", f"and {more:,} more {outcome} (--json has them)"


def _target_facts(target: RunTarget, shown: ShownRun) -> Iterator[tuple[str, str]]:
    words = [f"attempt {target.attempt}"] if target.attempt > 1 else []
    if target.exit_code is not None:
        words.append(f"exit code {target.exit_code}")
    if target.seconds and target.outcome == "built":
        words.append(duration(target.seconds))
    if (lease := shown.leases.get(target.target)) is not None:
        words.append(f"its lease was renewed {moment_text(lease.written_at)}")
    message = first_line(target.message)
    if message and target.outcome == "blocked":
        message = f"by {message}"
    said = ": ".join(part for part in (", ".join(words), message) if part)
    label = "running" if target.outcome == "begun" and not shown.run.is_over else target.outcome
    if label == "running" and shown.run.outcome != "running":
        label = "begun"
    yield f"  {label}", f"  {target.target}  {said}"
    if target.log and target.outcome == "failed":
        yield "", f"    log: {_log(target, shown.place.prefix)}"


def _log(target: RunTarget, prefix: str) -> str:
    """Return where a log lies; one for a bucket was a file of the run's machine at first."""
    if not is_url(prefix) or is_url(target.log):
        return target.log
    return log_path(output_under(prefix, target.name, target.target), target.attempt)


def _places(shown: ShownRun) -> Iterator[tuple[str, str]]:
    run = shown.run
    if run.known_from == "records":
        return
    yield "journal", run.journal if run.summary is not None else f"{run.journal} (not readable)"
    if shown.plan is not None:
        yield "plan", f"{folder_of(shown.place.prefix, run.id)}/{PLAN_FILE}"
    elif shown.plan_error:
        yield "plan", shown.plan_error


def _next(run: KeptRun) -> Iterator[str]:
    """Yield how to go on."""
    failed = [each for each in run.targets if each.outcome == "failed"]
    if failed:
        yield f"log:      marin-build logs {shlex.quote(failed[0].target)}"
    match run.outcome:
        case "failed" | "stopped" | "interrupted" | "died":
            yield "go on:    the same command again: what is built is reused"
        case "running" | "unfinished" if run.targets:
            yield "watch:    marin-build status; marin-build logs -f TARGET"
    if run.known_from == "journal":
        yield f"when:     marin-build trace {run.id} -o trace.json"


def runs_json(listed: ListedRuns) -> dict[str, Any]:
    """Return the document of `--json`."""
    return {
        "schema_version": _SCHEMA_VERSION,
        "prefix": listed.place.prefix,
        "runs": [_run_json(run) for run in listed.runs],
        "more": listed.more,
    }


def shown_run_json(shown: ShownRun) -> dict[str, Any]:
    """Return the document of `--json` for one run."""
    plan = shown.plan
    return {
        "schema_version": _SCHEMA_VERSION,
        "prefix": shown.place.prefix,
        **_run_json(shown.run),
        "requested": list(plan.requested) if plan is not None else None,
        "pipeline": plan.pipeline if plan is not None else None,
        "engine": plan.engine if plan is not None else None,
        "plan": f"{folder_of(shown.place.prefix, shown.run.id)}/{PLAN_FILE}"
        if plan is not None
        else None,
        "targets": [_target_json(each, shown) for each in shown.run.targets],
    }


def _run_json(run: KeptRun) -> dict[str, Any]:
    return {
        "run": run.id,
        "outcome": run.outcome,
        "why": run.why or None,
        "start": run.start or None,
        "seconds": run.seconds if run.known_from == "journal" else None,
        "by": run.by or None,
        "pid": run.pid or None,
        "argv": list(run.argv),
        "commit": run.commit,
        "is_dirty": run.is_dirty,
        "to_build": run.summary.to_build if run.summary is not None else None,
        "counts": dict(run.summary.counts) if run.summary is not None else None,
        "journal": run.journal or None,
        "known_from": run.known_from,
    }


def _target_json(target: RunTarget, shown: ShownRun) -> dict[str, Any]:
    lease = shown.leases.get(target.target)
    return {
        "name": target.name,
        "target": target.target,
        "outcome": target.outcome,
        "attempt": target.attempt or None,
        "exit_code": target.exit_code,
        "message": target.message or None,
        "log": _log(target, shown.place.prefix) if target.log else None,
        "seconds": target.seconds,
        "lease_renewed": lease.written_at if lease is not None else None,
    }
