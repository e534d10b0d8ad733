"""`marin-build logs`: what an attempt at a target printed."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options_without_f
from marin_build.errors import UsageError
from marin_build.moments import moment_text
from marin_build.protocol.log_format import without_stamps
from marin_build.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.observe.read_attempts import Attempts
    from marin_build.operations.loading import Loaded
    from marin_build.operations.options import PipelineOptions
    from marin_build.protocol.attempt_reader import EndedAttempt
    from marin_build.protocol.lease import Lease


_LOOK_EVERY = 0.2
"""Seconds between two looks at a log that is followed."""
_REMOTE_LOOKS = 10
"""At a lease in a bucket only one in so many."""


@click.command("logs")
@click.argument("target")
@click.option("-f", "--follow", is_flag=True, help="Go on until the attempt ends.")
@click.option(
    "--attempt",
    "number",
    type=click.IntRange(min=1),
    metavar="N",
    help="The Nth attempt instead of the newest.",
)
@click.option("-t", "--timestamps", is_flag=True, help="Show when each line was printed.")
@click.option("--list", "only_list", is_flag=True, help="Only list the attempts.")
@pipeline_options_without_f
def command(
    options: PipelineOptions,
    target: str,
    number: int | None,
    *,
    follow: bool,
    timestamps: bool,
    only_list: bool,
) -> int:
    """Print what the newest attempt at a target printed.

    Which attempt it is, and how it ended, is said on standard error. Values of secret environment
    variables are not kept: their names stand for them, as `[HF_TOKEN]`. While an attempt on a
    remote output runs, its log lies on the machine where it runs, and nowhere else.
    """
    from marin_build.observe.read_attempts import read_attempts, read_documents
    from marin_build.operations.loading import load
    from marin_build.plan.selection import select

    loaded = load(options, only=target)
    chosen = select(loaded.targets, [target])
    if len(chosen) != 1:
        raise UsageError(f"`{target}` stands for {len(chosen)} targets; one has its logs shown")
    wanted = loaded.targets.all[chosen[0]]
    attempts = read_attempts(loaded.store, wanted.output_path, wanted.id)
    numbers = attempts.numbers
    if not numbers:
        raise _no_attempt(attempts)
    if only_list:
        ends = read_documents(loaded.store, attempts, numbers)
        for each in numbers:
            size = attempts.logs.get(each)
            log = "no log" if size is None else f"{size} B"
            click.echo(f"{each:>4}  {_how(loaded, attempts, each, ends.get(each))}, {log}")
        return 0
    if number is not None and number not in numbers:
        known = ", ".join(map(str, numbers))
        raise UsageError(f"`{wanted.id}` has no attempt {number}", facts=[("attempts", known)])
    shown = number if number is not None else numbers[-1]
    ended = read_documents(loaded.store, attempts, [shown]).get(shown)
    _say(loaded, attempts, shown, ended)
    out = _Output(timestamps=timestamps)
    _show(loaded, attempts, shown, ended, out, follow=follow)
    out.end()
    if not out.written:
        is_running = attempts.lease_of(shown) is not None and not follow
        click.echo(_why_empty(ended, is_running=is_running), err=True)
    return 0


def _no_attempt(attempts: Attempts) -> UsageError:
    if attempts.lease is not None:
        facts = [("holder", printable(attempts.lease.describe()))]
        return UsageError(f"`{attempts.target}` is held by who keeps no log", facts=facts)
    if attempts.status is None:
        return UsageError(
            f"`{attempts.target}` was never built: there is no log",
            hint="marin-build status says how targets stand",
        )
    return UsageError(
        f"`{attempts.target}` has no log",
        facts=[("status", attempts.status)],
        consequence="whoever built it kept none: Marin, or a program that ran the step itself",
    )


def _how(loaded: Loaded, attempts: Attempts, number: int, ended: EndedAttempt | None) -> str:
    """Return how an attempt ended, or that it runs, on one line."""
    lease = attempts.lease_of(number)
    if ended is not None:
        code = ended.exit_code
        words = [
            ended.result + (f", exit code {code}" if code else ""),
            f"{moment_text(str(ended.end))} UTC",
            f"{ended.worker}, run {ended.run}",
        ]
    elif lease is None:
        words = ["how it ended is not known"]
    else:
        gone = loaded.host.is_gone(lease)
        words = ["its holder is gone" if gone else "running", f"{lease.worker}, run {lease.run}"]
    return printable(", ".join(words))


def _say(loaded: Loaded, attempts: Attempts, number: int, ended: EndedAttempt | None) -> None:
    others = len(attempts.numbers) - 1
    more = f" (--list: {others} more)" if others else ""
    how = _how(loaded, attempts, number, ended)
    click.echo(f"==> attempt {number}: {how}{more}", err=True)


def _show(
    loaded: Loaded,
    attempts: Attempts,
    number: int,
    ended: EndedAttempt | None,
    out: _Output,
    *,
    follow: bool,
) -> None:
    from marin_build.observe.read_attempts import local_log, read_attempts, read_documents
    from marin_build.observe.read_logs import copy_log
    from marin_build.protocol import layout

    run = ended.run if ended is not None else ""
    path = local_log(attempts, number, run, loaded.host)
    lease = attempts.lease_of(number)
    if path is not None and lease is not None and follow:
        is_over = _end_of(loaded, attempts, lease, path)
        copy_log(path, is_over, out.write, lambda: time.sleep(_LOOK_EVERY))
        attempts = read_attempts(loaded.store, attempts.output, attempts.target)
        ended = read_documents(loaded.store, attempts, [number]).get(number)
        _say(loaded, attempts, number, ended)
    elif path is not None:
        copy_log(path, lambda: True, out.write, lambda: None)
    elif number in attempts.logs:
        blob = loaded.store.get(layout.log_path(attempts.output, number))
        out.write(blob.data if blob is not None else b"")
    elif lease is not None and not loaded.host.is_gone(lease):
        raise _runs_elsewhere(attempts, lease)


class _Output:
    """Standard output, a line at a time; remembers whether there were any."""

    def __init__(self, *, timestamps: bool) -> None:
        self._stream, self._timestamps = sys.stdout.buffer, timestamps
        self._begun = b""
        self.written = False

    def write(self, data: bytes) -> None:
        """Write the lines that are complete, and hand them on at once."""
        whole, newline, self._begun = (self._begun + data).rpartition(b"\n")
        self._put(whole + newline)

    def end(self) -> None:
        """Write what is left of a log that was cut short."""
        self._put(self._begun)

    def _put(self, lines: bytes) -> None:
        self._stream.write(lines if self._timestamps else without_stamps(lines))
        self._stream.flush()
        self.written = self.written or bool(lines)


def _end_of(loaded: Loaded, attempts: Attempts, lease: Lease, path: str) -> Callable[[], bool]:
    """Return what tells whether the attempt has ended; a bucket is asked now and then."""
    from marin_build.observe.read_attempts import has_ended

    looks = 0

    def is_over() -> bool:
        nonlocal looks
        looks += 1
        if not loaded.store.is_local and looks % _REMOTE_LOOKS != 1:
            return False
        return has_ended(loaded.store, attempts.output, lease, loaded.host, path)

    return is_over


def _runs_elsewhere(attempts: Attempts, lease: Lease) -> UsageError:
    earlier = [number for number in attempts.numbers if number != lease.attempt]
    return UsageError(
        f"the log of attempt {lease.attempt} at `{attempts.target}` is on another machine",
        facts=[("runs on", printable(lease.describe()))],
        consequence="it comes into the store when the attempt ends",
        hint=f"an earlier one: --attempt {earlier[-1]}" if earlier else "look again then",
    )


def _why_empty(ended: EndedAttempt | None, *, is_running: bool) -> str:
    committed = ended.committed if ended is not None else None
    if committed is not None and committed.record.adopted_from:
        place = printable(committed.record.adopted_from)
        return f"nothing was run: its data was adopted from {place}"
    return "nothing was printed so far; -f waits for it" if is_running else "nothing was printed"
