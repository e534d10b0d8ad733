"""Each judge of the chaos finds what it is there for: else an hour of it says nothing."""

from __future__ import annotations

from dataclasses import replace

from .judges import GRACE, Evidence, Fall, Note, Seen, judge, read_notes
from .schedule import Schedule
from .work import Step

STEPS = (
    Step("a", "command", ("self", "away"), 2, 0.1, stubborn=False),
    Step("end", "command", ("self",), 1, 0.1, stubborn=False, needs=("a",)),
)


def note(time: float, what: str, step: str, execution: str, pid: int = 1) -> Note:
    return Note(time, what, step, execution, pid)


def good() -> Evidence:
    """A round in which one execution of `a` was killed, and all is well."""
    return Evidence(
        notes=[
            note(1.0, "start", "a", "a.1", 7), note(1.5, "line", "a", "a.1", 7),
            note(2.0, "start", "a", "a.2"), note(3.0, "end", "a", "a.2"),
            note(4.0, "start", "end", "e.1"), note(5.0, "end", "end", "e.1"),
        ],
        seen={"a": Seen(3.1, "a.2"), "end": Seen(5.1, "e.1")},
        statuses={"a": "SUCCESS", "end": "SUCCESS"},
        outputs={
            "a": {"self": "a.2 0\na.2 1\n", "away": "a.2 0\na.2 1\n"},
            "end": {"self": "e.1 0\n", "inputs": "a.2 0\n"},
        },
        falls=[Fall(1.4, "guard", frozenset({7}))],
    )  # fmt: skip


def violations(evidence: Evidence) -> str:
    return "\n".join(judge(STEPS, evidence))


def with_notes(*more: Note) -> Evidence:
    evidence = good()
    return replace(evidence, notes=[*evidence.notes, *more])


def with_output(step: str, **files: str) -> Evidence:
    evidence = good()
    return replace(
        evidence, outputs={**evidence.outputs, step: {**evidence.outputs[step], **files}}
    )


def test_a_good_round_passes() -> None:
    assert violations(good()) == ""


def test_a_committed_target_that_runs_again_is_found() -> None:
    assert "a: ran again at 6.0" in violations(with_notes(note(6.0, "start", "a", "a.3")))


def test_another_output_than_the_committed_one_is_found() -> None:
    evidence = replace(good(), seen={"a": Seen(3.1, "a.0"), "end": Seen(5.1, "e.1")})
    assert "a: a.0 was committed, and the output is of a.2" in violations(evidence)


def test_executions_that_overlap_are_found() -> None:
    """By when they wrote; and by the lock, where the first one only slept."""
    assert "a: a.2 began at 2.0, a.1 still wrote at 2.5" in violations(
        with_notes(note(2.5, "line", "a", "a.1"))
    )
    assert "began beside" in violations(with_notes(note(2.0, "overlap", "a", "a.2")))
    # Also if others are between them.
    found = violations(with_notes(note(9.0, "line", "a", "a.1"), note(8.0, "start", "a", "a.3")))
    assert "a.3 began at 8.0, a.1 still wrote at 9.0" in found


def test_an_output_of_two_executions_is_found() -> None:
    mixed = "a.2 0\na.1 9\na.2 1\n"
    assert "a: its output" in violations(with_output("a", away=mixed))
    assert "a: its output" in violations(with_output("a", away="a.2 0\n"))
    assert "a: its output" in violations(with_output("a", more="x"))


def test_an_output_built_from_another_one_is_found() -> None:
    assert "end: its output" in violations(with_output("end", inputs="a.1 0\n"))


def test_a_target_that_is_not_built_is_found() -> None:
    evidence = replace(good(), statuses={"a": "SUCCESS", "end": "FAILED"})
    assert violations(evidence) == "end: FAILED after the last apply"


def test_work_that_outlives_its_keepers_is_found() -> None:
    late = 1.4 + GRACE + 0.1
    assert "after guard was killed" in violations(with_notes(note(late, "line", "a", "a.1", 7)))


def test_a_note_that_was_cut_does_not_count() -> None:
    assert read_notes("1.5 start a a.1 7\n2.0 li") == [note(1.5, "start", "a", "a.1", 7)]


def test_a_seed_is_a_round() -> None:
    """Else a violation cannot be played again."""
    assert Schedule.of(7) == Schedule.of(7)
    assert str(Schedule.of(7)) == str(Schedule.of(7))
