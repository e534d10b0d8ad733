"""What must hold after a round, whatever was struck."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .work import Step

GRACE = 5.0
"""Seconds in which the work of a run ends whose processes were killed, on a crowded machine."""


@dataclass(frozen=True, slots=True)
class Note:
    """A line that an execution noted: the time since the machine was started, what, and who."""

    time: float
    what: str
    step: str
    execution: str
    pid: int


@dataclass(frozen=True, slots=True)
class Fall:
    """A kill of processes that keep work, while others of them live.

    Args:
        time: when, since the machine was started.
        kind: whom it struck.
        work: the processes of its steps at that time.

    """

    time: float
    kind: str
    work: frozenset[int]


@dataclass(slots=True)
class Seen:
    """What was seen of a target while the round went on.

    Args:
        committed_at: when it was first seen sealed or built, since the machine was started.
        execution: whose output that was; empty: it was not read yet.

    """

    committed_at: float = 0.0
    execution: str = ""


@dataclass(slots=True)
class Evidence:
    """All that is judged.

    Args:
        notes: what executions noted.
        seen: step -> what was seen of its target.
        statuses: step -> the status at the end.
        outputs: step -> file -> its text at the end.
        falls: kills whose work must end.

    """

    notes: list[Note]
    seen: Mapping[str, Seen]
    statuses: Mapping[str, str]
    outputs: Mapping[str, Mapping[str, str]]
    falls: Sequence[Fall] = field(default_factory=list)


def read_notes(text: str) -> list[Note]:
    """Return the notes in a file; its last line may be cut."""
    lines = text.splitlines() if text.endswith("\n") else text.splitlines()[:-1]
    found = []
    for line in lines:
        time, what, step, execution, pid = line.split(" ")
        found.append(Note(float(time), what, step, execution, int(pid)))
    return found


def judge(steps: Sequence[Step], evidence: Evidence) -> list[str]:
    """Return what was violated; nothing if all is well."""
    return [
        *_built(steps, evidence),
        *_never_again(evidence),
        *_never_beside(evidence.notes),
        *_of_one_execution(steps, evidence),
        *_ended(evidence),
    ]


def _built(steps: Sequence[Step], evidence: Evidence) -> Iterable[str]:
    for step in steps:
        if (status := evidence.statuses.get(step.name, "")) != "SUCCESS":
            yield f"{step.name}: {status or 'no status'} after the last apply"


def _never_again(evidence: Evidence) -> Iterable[str]:
    """A committed target is not run again."""
    for note in evidence.notes:
        seen = evidence.seen.get(note.step)
        if note.what == "start" and seen is not None and 0 < seen.committed_at < note.time:
            yield f"{note.step}: ran again at {note.time}, was committed at {seen.committed_at:.2f}"
    for step, seen in evidence.seen.items():
        last = execution_of(evidence.outputs.get(step, {}))
        if seen.execution and seen.execution != last:
            yield f"{step}: {seen.execution} was committed, and the output is of {last}"


def _never_beside(notes: Sequence[Note]) -> Iterable[str]:
    """No two executions of a target overlap in time."""
    spans: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    for note in notes:
        if note.what == "overlap":
            yield f"{note.step}: {note.execution} began beside another execution, at {note.time}"
        first, last = spans[note.step].get(note.execution, (note.time, note.time))
        spans[note.step][note.execution] = (min(first, note.time), max(last, note.time))
    for step, executions in spans.items():
        latest, until = "", 0.0
        for execution, (first, last) in sorted(executions.items(), key=lambda item: item[1]):
            if first < until:
                yield f"{step}: {execution} began at {first}, {latest} still wrote at {until}"
            if last > until:
                latest, until = execution, last


def _of_one_execution(steps: Sequence[Step], evidence: Evidence) -> Iterable[str]:
    """An output that is committed is what one execution writes."""
    for step in steps:
        if evidence.statuses.get(step.name) != "SUCCESS":
            continue
        files = evidence.outputs[step.name]
        execution = execution_of(files)
        expected = {
            writer: "".join(f"{execution} {number}\n" for number in range(step.lines))
            for writer in step.writers
        }
        if step.needs:
            firsts = [execution_of(evidence.outputs.get(need, {})) for need in step.needs]
            expected["inputs"] = "".join(f"{first} 0\n" for first in firsts)
        if files != expected:
            yield f"{step.name}: its output is {files!r}, and not {expected!r}"


def execution_of(files: Mapping[str, str]) -> str:
    """Return whose output some files are."""
    return files.get("self", "").partition(" ")[0]


def _ended(evidence: Evidence) -> Iterable[str]:
    """The work of a run ends when processes that keep it are killed, but not all of them."""
    for fall in evidence.falls:
        late = [n for n in evidence.notes if n.pid in fall.work and n.time > fall.time + GRACE]
        if late:
            note = late[-1]
            yield f"{note.step}: wrote {note.time - fall.time:.1f} s after {fall.kind} was killed"
