"""The states of targets, for people and programs; too many equal lines are merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from marin_build.cli.terminal import Styled, echo
from marin_build.cli.views.apply_text import duration
from marin_build.emit.fold_rows import everything, folder, same_name
from marin_build.pipeline.retries import exited_with, unsaid_meaning
from marin_build.plan.later_selection import what_waits
from marin_build.plan.reason_text import describe, describe_stably
from marin_build.plan.reasons import Tainted
from marin_build.plan.target_state import State, counts
from marin_build.text.moments import moment_text
from marin_build.text.readable import printable, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.operations.runs.status import ReadStatus
    from marin_build.pipeline.targets import Targets
    from marin_build.plan.snapshot import LastAttempt
    from marin_build.plan.target_state import TargetState, WaitingJob
    from marin_build.protocol.lease import Host, Lease


_COLOURS = {
    State.RUNNING: "cyan",
    State.GONE: "yellow",
    State.FAILED: "red",
    State.UNREADABLE: "red",
    State.INTERRUPTED: "yellow",
    State.QUEUED: "cyan",
    State.DOUBTFUL: "yellow",
    State.TAINTED: "yellow",
    State.BUILT: "green",
}
_SCHEMA_VERSION = 1


def show_status(read: ReadStatus, *, verbose: bool) -> None:
    """Print a line for each target, or for several with the same facts, and the counts.

    Args:
        read: the states of the targets, and when and where they were read.
        verbose: whether to print a line for each target.

    """
    states = read.states
    rows = rows_of(read.targets, states, read.host, read.at)
    shown = rows if verbose else folded(rows)
    width = max((len(row.state.value) for row in shown), default=0)
    longest = max((len(_name(row)) for row in shown), default=0)
    for row in shown:
        state = Styled(row.state.value.ljust(width), _COLOURS.get(row.state))
        echo(state, f"  {_name(row):<{longest}}  {row.text}".rstrip())
    parts = [f"{count} {state.value}" for state, count in counts(states).items() if count]
    many = f"{len(states)} target{'s' if len(states) != 1 else ''}"
    echo(f"{many}: {', '.join(parts)}" if parts else "0 targets: nothing was selected")
    if waits := what_waits(read.targets):
        echo(f"not known yet: {waits}")
    for engine, why in read.silent.items():
        echo(f"note: what waits in the queue of {engine} is not known: {printable(why)}", err=True)


def _name(row: Row) -> str:
    return row.target if row.targets == 1 else f"{row.target} ({row.targets} targets)"


def status_json(read: ReadStatus) -> dict[str, Any]:
    """Return the document of `--json`."""
    targets, states = read.targets, read.states
    return {
        "schema_version": _SCHEMA_VERSION,
        "prefix": targets.workspace.prefix,
        "summary": {_word(state): count for state, count in counts(states).items()},
        "targets": [
            {
                "name": targets.all[index].name,
                "target": targets.all[index].id,
                "output_path": targets.all[index].output_path,
                "state": _word(each.state),
                "held_by": _lease_json(each.lease),
                "left_running": bool(each.work),
                "failure": _failure_json(each.last),
                "unreadable": each.damage.path if each.damage is not None else None,
                "tainted": each.taint.reason if each.taint is not None else None,
                "job": _job_json(each.job),
            }
            for index, each in states.items()
        ],
        "silent_queues": dict(read.silent),
        "waiting": [later.name for later in read.targets.later if later.targets is None],
    }


def _word(state: State) -> str:
    return state.value.replace(" ", "_")


def _lease_json(lease: Lease | None) -> dict[str, Any] | None:
    if lease is None:
        return None
    return {
        "worker": lease.worker,
        "run": lease.run,
        "attempt": lease.attempt,
        "since": lease.taken_at or None,
        "renewed": lease.written_at,
        "time_to_live": lease.time_to_live,
    }


def _job_json(job: WaitingJob | None) -> dict[str, Any] | None:
    if job is None:
        return None
    said = {"job": job.job, "words": job.words, "place": job.place or None}
    return {**said, "hint": job.hint or None}


def _failure_json(last: LastAttempt | None) -> dict[str, Any] | None:
    if last is None:
        return None
    return {
        "attempt": last.attempt,
        "exit_code": last.exit_code,
        "end": last.end,
        "worker": last.worker,
        "message": last.message,
    }


_MOST_ROWS = 50
_FEWEST_FOLDED = 3
_QUIET = (State.NOT_BUILT, State.BUILT)


class Row(NamedTuple):
    """One line: a target, or several with the same facts.

    Args:
        state: the state of each of them.
        name: the step's name.
        target: its id; for several targets a pattern, `tokenize/*`.
        targets: how many targets the line stands for.
        text: the facts, in words; no control characters.
        topic: the facts without the words that differ from target to target.

    """

    state: State
    name: str
    target: str
    targets: int
    text: str
    topic: str


def rows_of(
    targets: Targets, states: Mapping[int, TargetState], host: Host, now: float
) -> list[Row]:
    """Return a line for each target; those that need attention come first.

    Args:
        targets: the pipeline's targets.
        states: their states, by index.
        host: this machine.
        now: seconds since the epoch; only compared with times that this machine wrote.

    """
    rows = []
    for index, each in states.items():
        target = targets.all[index]
        text, topic = _facts(each, host, now)
        rows.append(Row(each.state, target.name, target.id, 1, printable(text), printable(topic)))
    order = list(State)
    return sorted(rows, key=lambda row: order.index(row.state))


def _facts(target: TargetState, host: Host, now: float) -> tuple[str, str]:
    """Return the facts about a target, and the same without words that differ by target."""
    lease = target.lease
    match target.state:
        case State.RUNNING if lease is not None:
            left = more = ""
            if target.work:
                left = "; its holder is gone, but what it started still works"
                more = f"{left}: {target.work[0]}; `marin-build unlock TARGET --kill` ends it"
            return _held(lease, host, now) + more, _by(lease) + left
        case State.GONE if lease is not None:
            ways = "the next apply builds it"
            return (
                f"its holder is gone: {lease.describe()}; {ways}",
                f"its holder is gone: {_by(lease)}; {ways}",
            )
        case State.QUEUED if (job := target.job) is not None:
            before = f"; before, {_failed(target.last)}" if target.last is not None else ""
            return job.describe() + before, f"{job.job.partition(':')[0]}, {job.said}"
        case State.SEALED if lease is not None:
            return f"by {lease.describe()}; the next apply publishes it", f"by {_by(lease)}"
        case State.FAILED if target.last is not None:
            return _failed(target.last), f"exit code {target.last.exit_code}"
        case State.UNREADABLE if target.damage is not None:
            return describe(target.damage), describe_stably(target.damage)
        case State.BUILT if (tombstone := target.tombstone) is not None:
            text = "gc deletes it later, unless something uses it"
            return f"{text}; marked {moment_text(tombstone.at)} by {tombstone.by}", text
        case State.DOUBTFUL:
            text = "built, but the machine went down before it was surely on disk"
            return text, text
        case State.TAINTED if (taint := target.taint) is not None:
            tainted = Tainted(taint.reason, taint.by, taint.at)
            return describe(tainted), describe_stably(tainted)
    return "", ""


def _held(lease: Lease, host: Host, now: float) -> str:
    """Return the holder and the time of its last renewal; no clocks of two machines mix."""
    renewed = f"renewed {moment_text(lease.written_at)}"
    if lease.taken_at:
        since = f"since {moment_text(lease.taken_at)}"
        if host.boot and lease.boot == host.boot:
            since = f"for {duration(max(now - lease.since, 0.0))}, {since}"
        renewed = f"{since}, {renewed}"
    own = "" if host.boot and lease.boot == host.boot else " by its own clock"
    return f"{lease.describe()}; {renewed}{own}, lease {lease.time_to_live:.0f} s"


def _by(lease: Lease) -> str:
    return f"{lease.worker}, run {lease.run}" if lease.run else lease.worker


def _failed(last: LastAttempt) -> str:
    code = "" if last.exit_code is None else f", exit code {last.exit_code}"
    meaning = unsaid_meaning(last.exit_code or 0, last.message or "")
    code += f" ({meaning})" if meaning else ""
    when = f", {moment_text(last.end)}" if last.end else ""
    lines = (last.message or "").splitlines()
    if lines == [exited_with(last.exit_code or 0)]:
        lines = []
    return f"attempt {last.attempt}{code}{when}, {last.worker}{': ' if lines else ''}" + (
        shortened(lines[0], 500) if lines else ""
    )


def folded(rows: Sequence[Row]) -> list[Row]:
    """Return few enough rows for people: too many of them are merged where they say the same.

    At first rows of one step name are merged, then those of one folder. If that is not enough, they
    are merged by topic instead of facts, and at last regardless of their names. Rows in states that
    need no attention are merged first.
    """
    shorter = list(rows)
    for pattern_of in (same_name, folder, everything):
        if len(shorter) > _MOST_ROWS:
            shorter = _fold(shorter, lambda row: row.text, pattern_of, _QUIET)
    for pattern_of in (same_name, folder, everything):
        if len(shorter) > _MOST_ROWS:
            shorter = _fold(shorter, lambda row: row.topic, pattern_of, tuple(State))
    return shorter


def _fold(
    rows: Sequence[Row],
    say_of: Callable[[Row], str],
    pattern_of: Callable[[str], str],
    states: Sequence[State],
) -> list[Row]:
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        alike = (say_of(row), pattern_of(row.name)) if row.state in states else (row.target,)
        groups.setdefault((row.state, *alike), []).append(row)
    found: list[Row] = []
    for group in groups.values():
        if sum(row.targets for row in group) < _FEWEST_FOLDED or len(group) == 1:
            found.extend(group)
        else:
            first, count = group[0], sum(row.targets for row in group)
            found.append(
                first._replace(target=pattern_of(first.name), targets=count, text=say_of(first))
            )
    return found
