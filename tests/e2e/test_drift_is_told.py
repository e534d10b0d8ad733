"""Drift is never silent: `apply` says it, a selector finds it, and a project may forbid it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .support import Project

PIPELINE = """\
from pathlib import Path

from text import clean
from marin_build import step


def ran(name, output, n=0):
    with open(Path(__file__).parent / "ran.txt", "a") as stream:
        stream.write(name + "\\n")
    (output / "n").write_text(str(n))


@step
def corpus(output: Path) -> None:
    ran("corpus", output)


@step(tags=("fine",))
def score(output: Path, corpus: Path) -> None:
    ran("score", output, clean(1))


@step
def plot(output: Path, score: Path) -> None:
    ran("plot", output, clean(2))


@step
def report(output: Path, plot: Path) -> None:
    ran("report", output)


@step
def other(output: Path) -> None:
    ran("other", output)


def pipeline():
    return [report(plot(score(corpus()))), other()]
"""
TEXT = "def clean(n):\n    return n * 2\n"
EDITED = TEXT.replace("2", "3")
LINE = "2 targets were built by other code than today's: score, plot; see marin-build plan\n"


@pytest.fixture
def built(project: Project) -> Project:
    """corpus -> score -> plot -> report, and other, all built but that."""
    project.write("text.py", TEXT)
    project.pipeline(PIPELINE)
    assert project.run("apply", "-q", "report").code == 0
    return project


def test_apply_says_in_one_line_what_other_code_built(built: Project) -> None:
    """Else results of old and of new code go into one report."""
    built.write("text.py", EDITED)
    said = built.run("apply", "report")
    assert (said.code, built.mask(said.out)) == (
        0,
        (
            "nothing to do: 4 targets are reused\n"
            "  report: .marin-build/outputs/report_HASH\n"
            f"{LINE.rstrip()} report\n"
        ),
    )
    assert built.run("apply", "-q", "report").out.endswith("see marin-build plan report\n")
    (totals,) = built.run("apply", "--json", "report").events
    assert [(each["kind"], each["names"]) for each in totals["drifted"]] == [
        ("code", ["score", "plot"])
    ]
    building = built.run("apply")
    assert (building.code, building.out.splitlines(keepends=True)[-1]) == (0, LINE)
    assert built.counts()["score"] == 1


def test_what_was_accepted_or_built_again_is_told_no_more(built: Project) -> None:
    built.write("text.py", EDITED)
    done = built.run("accept", "drifted", "--reason", "the same numbers")
    assert "accepted 2 targets: the same numbers" in done.out
    assert "built by" not in built.run("apply").out
    again = built.run("accept", "drifted", "--reason", "nothing is left")
    assert (again.code, again.out) == (0, "")
    built.write("text.py", EDITED.replace("3", "4"))
    assert LINE in built.run("apply").out
    assert built.run("apply", "--force", "drifted", "-q").code == 0
    assert built.counts() == {"corpus": 1, "score": 2, "plot": 2, "report": 2, "other": 1}
    assert "built by" not in built.run("apply").out


def test_other_kinds_of_drift_are_told_by_their_own_words(built: Project) -> None:
    """Else a user looks for a change of code that nobody made."""
    built.write("uv.lock", "numpy")
    line = "1 target was built in another environment than today's: report; see marin-build plan\n"
    assert built.run("apply").out.endswith(line)
    built.write("text.py", EDITED)
    line = (
        "2 targets were built by other code than today's: score, plot; "
        "1 in another environment than today's: report; see marin-build plan\n"
    )
    assert built.run("apply").out.endswith(line)


@pytest.mark.parametrize("how", ["option", "configuration"])
def test_a_project_may_forbid_to_build_beside_drift(built: Project, how: str) -> None:
    """Else a nightly run publishes a report of which nobody saw that it is half old."""
    flags = ["--on-drift", "fail"] if how == "option" else []
    if how == "configuration":
        built.write("marin-build.toml", 'on_drift = "fail"\n')
    assert built.run("apply", "report", *flags).code == 0, "nothing drifted"
    built.write("text.py", EDITED)
    refused = built.run("apply", *flags)
    assert (refused.code, refused.out, refused.err) == (
        5,
        "",
        (
            "error: 2 targets were built by other code than today's: score, plot\n"
            "  on_drift:                   fail\n"
            "  to rebuild what drifted:    marin-build apply --force drifted\n"
            "  to accept it:               marin-build accept drifted --reason '...'\n"
            '  to rebuild on code changes: declare the step with code="rebuild"\n'
            "  nothing was run\n"
            "hint: marin-build plan shows what differs\n"
        ),
    )
    assert "other" not in built.counts()
    assert built.run("apply", "other", *flags).code == 0, "what drifted is no part of it"
    assert built.run("plan", *flags).code == 0
    assert built.run("plan", "--detailed-exitcode", *flags).code == 5
    assert built.run("apply", "--force", "drifted", *flags).code == 0
    assert built.counts()["report"] == 2


def test_the_option_goes_before_the_configuration(built: Project) -> None:
    built.write("marin-build.toml", 'on_drift = "fail"\n')
    built.write("text.py", EDITED)
    done = built.run("apply", "report", "--on-drift", "report")
    assert (done.code, "built by other code" in done.out) == (0, True)
    built.write("marin-build.toml", 'on_drift = "ignore"\n')
    assert built.run("apply").code == 4


def test_a_saved_plan_rebuilds_what_drifted_or_is_refused(built: Project) -> None:
    built.write("text.py", EDITED)
    assert built.run("plan", "other", "report", "-o", "old").code == 0
    refused = built.run("apply", "old", "--on-drift", "fail")
    assert refused.code == 5
    assert "marin-build plan --force drifted -o old" in refused.err
    assert LINE in built.run("apply", "old").out
    planned = built.run("plan", "--force", "drifted", "-o", "new")
    assert (planned.code, "3 to build" in planned.out) == (0, True)
    assert built.run("apply", "new", "--on-drift", "fail", "-q").code == 0
    assert built.counts() == {"corpus": 1, "score": 2, "plot": 2, "report": 2, "other": 1}


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("drifted", "score plot"),
        ("status:drifted", "score plot"),
        ("drifted+", "score plot report"),
        ("+drifted", "corpus score plot"),
        ("^drifted", "corpus report other"),
        ("drifted&tag:fine", "score"),
        ("drifted,^score", "plot"),
        ("+drifted+,other", "corpus score plot report other"),
    ],
)
def test_the_selector_finds_what_drifted(built: Project, selector: str, names: str) -> None:
    built.write("text.py", EDITED)
    told = built.run("status", selector, "--json").document
    assert [each["name"] for each in told["targets"]] == names.split()


def test_the_selector_works_in_every_command(built: Project) -> None:
    built.write("text.py", EDITED)
    assert "~ drift" in built.run("plan", "drifted").out
    assert "[drifted]" in built.run("graph", "drifted").out
    assert built.run("path", "drifted&score").out == f"{built.output_of('score')}\n"
    assert "code changed" in built.run("explain", "drifted&plot").out
    assert "to rebuild what drifted: " in built.run("explain", "drifted&plot").out
    assert built.run("logs", "drifted&plot").code == 0
    assert built.run("taint", "drifted", "--reason", "old", "--dry-run").code == 0
    assert built.run("verify", "drifted").code == 0
    built.write("text.py", TEXT)
    assert "nothing was selected" in built.run("plan", "drifted").out


def test_without_the_pipeline_nothing_can_be_said_of_drift(built: Project) -> None:
    """Else an empty answer looks as if nothing had drifted."""
    built.pipeline("1 +")
    for command in ("status", "path", "logs", "explain", "show"):
        done = built.run(command, "drifted")
        assert done.code == 4, command
        assert done.err.startswith("error: `drifted` compares the code of the pipeline"), command
        assert "reason: " in done.err


def test_a_step_may_be_called_drifted(project: Project) -> None:
    project.pipeline(
        'from marin_build import command\nd = command("echo 1 > {output}/n", name="drifted")\n'
        'e = command("echo 1 > {output}/n", name="e")\n'
    )
    assert project.run("apply", "-q", "drifted").code == 0
    assert project.status_of("drifted") == "SUCCESS"
    assert "nothing was selected" in project.run("plan", "status:drifted").out


def test_drift_is_drawn(built: Project) -> None:
    """Else who looks at the picture believes that all of it is of one code."""
    built.write("text.py", EDITED)
    drawn = built.mask(built.run("graph", "report").out)
    assert drawn == (
        "= report_HASH\n"
        "`-- = plot_HASH  [drifted]\n"
        "    `-- = score_HASH  [drifted]\n"
        "        `-- = corpus_HASH\n"
    )
    nodes = built.run("graph", "report", "--format", "json").document["nodes"]
    assert {each["name"]: each.get("drifted") for each in nodes} == {
        "corpus": None, "score": 1, "plot": 1, "report": None,
    }  # fmt: skip
    for form in ("dot", "mermaid", "svg"):
        assert built.run("graph", "report", "--format", form).out.count("drifted") == 2, form


def test_what_was_not_looked_at_is_not_called_built(built: Project) -> None:
    """Else `apply` says that a target is built of which `status` says that it failed."""
    broken = "def clean(n):\n    raise ValueError(n)\n"
    built.write("text.py", broken)
    assert built.run("apply", "report", "--force", "score", "-q").code == 1
    assert "failed" in built.run("status", "score").out
    done = built.run("apply", "report")
    assert (done.code, done.out.partition("\n")[0]) == (0, "nothing to do: 4 targets are reused")
    planned = built.run("plan", "report").out
    assert "0 to build, 4 reused" in planned
    assert "nothing to do: everything requested is built\n" in planned, "that was looked at"
