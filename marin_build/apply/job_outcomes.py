"""What became of a target whose job a queue ran: the store says it, else the queue's own words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.observe.read_attempts import read_attempts, read_documents
from marin_build.pipeline.retries import CODE_OF_CAUSE, SAID_OF_INFRASTRUCTURE, cause_of
from marin_build.plan.outcomes import Failed, Interrupted, Stopped, Succeeded
from marin_build.protocol import layout
from marin_build.protocol.record_reader import readable_record
from marin_build.text.readable import printable
from marin_build.workspace.regular_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.engines.jobs import JobState
    from marin_build.pipeline.targets import Target
    from marin_build.plan.outcomes import Outcome
    from marin_build.store.base import Store

_LAST_BYTES = 4096


def outcome_in_store(
    store: Store, target: Target, after: int, *, force: bool
) -> Succeeded | Failed | Interrupted | None:
    """Return how the attempts went that a target had after one; None if that is still open.

    Of several failures it is the first: a job that tries again itself has them reported one by one,
    so that a run counts as many tries as there were.

    Args:
        store: where the output lives.
        target: which one.
        after: the number of the last attempt before the job.
        force: whether only an attempt after that one counts as built.

    Raises:
        StoreError: the store cannot be read.

    """
    attempts = read_attempts(store, target.output_path, target.id)
    if attempts.status == "SUCCESS":
        blob = store.get(f"{target.output_path}/{layout.RECORD}")
        built = readable_record(blob.data if blob is not None else None)
        if built is not None and (built.attempt > after or not force):
            return Succeeded(built.attempt, built.seconds)
    newer = [number for number in attempts.numbers if number > after]
    documents = read_documents(store, attempts, newer)
    for number, ended in documents.items():
        if ended.result == "failed":
            code = ended.exit_code or 1
            log = layout.log_path(target.output_path, number) if number in attempts.logs else ""
            return Failed(number, code, ended.message or "", log, cause=cause_of(code, ended.cause))
    last = documents.get(newer[-1]) if newer else None
    if last is not None and last.result == "interrupted":
        return Interrupted(newer[-1])
    return None


def outcome_of_queue(
    state: JobState, job: str, output: str, says_why: Callable[[str], bool] = lambda _: False
) -> Outcome:
    """Return what a job came to that ended and left nothing in the store.

    Args:
        state: what the queue says.
        job: engine and id, for people.
        output: the local file with what it printed; empty: there is none, so it never started.
        says_why: whether a line in it is the engine's own word on why it ended.

    """
    if state.words.startswith("CANCELLED"):
        return Stopped(
            f"its job {job} was cancelled: {state.words}", hint="apply again to build it"
        )
    lines = _last_lines(output)
    is_infra = SAID_OF_INFRASTRUCTURE in lines
    said = _last_error([line for line in lines if line != SAID_OF_INFRASTRUCTURE], says_why)
    # Even a program that is not found leaves a file, with the words of the shell.
    cause = state.cause or ("app" if output and not is_infra else "infra")
    message = f"job {job} ended: {state.words}"
    if said and state.cause is None:
        message = f"{message}: {said}"
    return Failed(0, CODE_OF_CAUSE.get(cause, 1), message, output, cause=cause)


def _last_lines(path: str) -> list[str]:
    """Return the last lines of a file that are not empty; none if it cannot be read."""
    try:
        with open_regular(path) as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - _LAST_BYTES))
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.strip()]


def _last_error(lines: list[str], says_why: Callable[[str], bool]) -> str:
    """Return the engine's first word on the end, or the last error with its reason, or a line."""
    if not lines:
        return ""
    if words := [line for line in lines if says_why(line)]:
        return printable(words[0])
    told = [number for number, line in enumerate(lines) if "error" in line.lower()]
    last = told[-1] if told else len(lines) - 1
    label, _, reason = "".join(lines[last + 1 : last + 2]).strip().partition(": ")
    return printable(f"{lines[last]}: {reason.strip()}" if label == "reason" else lines[last])


def with_output(outcome: Outcome, find: Callable[[], str]) -> Outcome:
    """Return a failure with the file that its job printed to, where it has no log of its own."""
    if isinstance(outcome, Failed) and not outcome.log:
        return replace(outcome, log=find())
    return outcome
