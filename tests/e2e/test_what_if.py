"""What would be built if: asked before a change is made, and never taken for what is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .support import DIAMOND, OUTPUTS

if TYPE_CHECKING:
    from .support import Project


@pytest.fixture
def built(project: Project) -> Project:
    """corpus -> left, right -> report; all built."""
    project.pipeline(DIAMOND)
    assert project.run("apply", "-q").code == 0
    return project


def reasons(project: Project, *args: str) -> dict[str, tuple[str, str]]:
    """Return name -> decision and kind of reason."""
    done = project.run("plan", "--json", *args)
    assert done.code == 0, done.err
    return {
        each["name"]: (each["decision"], each["reasons"][0]["kind"])
        for each in done.document["decisions"]
    }


def test_what_a_change_would_rebuild(built: Project) -> None:
    """Else the only way to learn what a change costs is to make it."""
    before = built.tree(OUTPUTS)
    assert reasons(built, "--assume-changed", "left") == {
        "corpus": ("reuse", "built_before"),
        "left": ("run", "assumed_changed"),
        "right": ("reuse", "built_before"),
        "report": ("run", "cascade"),
    }
    assert built.tree(OUTPUTS) == before
    # Within the request, by selector, and as often as one likes.
    assert reasons(built, "left", "--assume-changed", "corpus") == {
        "corpus": ("run", "assumed_changed"), "left": ("run", "cascade"),
    }  # fmt: skip
    both = reasons(built, "--assume-changed", "tag:final", "--assume-changed", "right")
    assert {name for name, (decision, _) in both.items() if decision == "run"} == {
        "right", "report",
    }  # fmt: skip


def test_what_is_left_if_something_were_built(project: Project) -> None:
    """Else nobody knows what to build on which machine."""
    project.pipeline(DIAMOND)
    assert reasons(project, "--assume-built", "l*,right") == {
        "corpus": ("run", "never_built"),  # `report` needs it itself
        "left": ("reuse", "assumed_built"),
        "right": ("reuse", "assumed_built"),
        "report": ("run", "never_built"),
    }
    assert reasons(project, "left", "--assume-built", "left") == {
        "left": ("reuse", "assumed_built"),
    }  # fmt: skip
    summary = project.run("plan", "--json", "left", "--assume-built", "left").document["summary"]
    assert (summary["reuse"], summary["pruned"]) == (1, 1)


def test_todays_build_is_the_estimate_of_a_changed_step(project: Project) -> None:
    """Else `what would it cost?` has no answer for the one step it is asked about."""
    project.pipeline(DIAMOND)
    assert project.run("apply", "-q").code == 0
    for record in (project.root / OUTPUTS).glob("*/.executor_info"):
        text = record.read_text()
        start = text.index('"seconds":')
        end = text.index(",", start)
        record.write_text(f'{text[:start]}"seconds":7200.0{text[end:]}')
    done = project.run("plan", "--assume-changed", "left")
    assert "2 to build" in done.out
    assert "4 h on the critical path" in done.out


def test_a_plan_with_assumptions_is_not_written(built: Project) -> None:
    """Else what was only asked is applied by somebody else."""
    for option in ("--assume-changed", "--assume-built"):
        done = built.run("plan", option, "left", "-o", "saved")
        assert (done.code, done.out) == (4, "")
        assert done.err == (
            "error: a plan with assumptions cannot be written: the store is not as it assumes\n"
            "  nothing was written\n"
            "hint: leave out -o, or --assume-changed and --assume-built\n"
        )
        assert built.run("apply", option, "left").code == 4
    assert not (built.root / "saved").exists()


def test_assumptions_that_contradict_each_other(built: Project) -> None:
    for option in ("--assume-changed", "--force"):
        done = built.run("plan", option, "left", "--assume-built", "left*")
        assert (done.code, done.out) == (4, "")
        assert done.err.startswith("error: `left` is assumed to be built, and to be built again\n")
    done = built.run("plan", "--assume-changed", "lefd")
    assert done.code == 4
    assert "did you mean `left`?" in done.err
