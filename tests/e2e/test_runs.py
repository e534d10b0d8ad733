"""What a run was going to do, and who ran it, is known afterwards; and two runs can be compared."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from marin_build.plan.document import PlanDocument, is_intact

from .support import BIN, DIAMOND, OUTPUTS

if TYPE_CHECKING:
    from pathlib import Path

    from .support import Done, Project

RUNS = f"{OUTPUTS}/.marin-build/runs"
NO_GIT = {"PATH": str(BIN)}
"""Without git, it cannot be asked."""


def runs_of(project: Project) -> list[Path]:
    """Return the folders of runs, the first one first."""
    folders = list((project.root / RUNS).glob("*"))
    return sorted(folders, key=lambda folder: (folder / "plan.json").stat().st_mtime_ns)


def names(done: Done) -> list[tuple[str, str]]:
    """Return kind and name of each difference."""
    assert done.code == 0, done.err
    return [(each["kind"], each["name"]) for each in done.document["differences"]]


def test_a_run_keeps_its_plan_and_who_ran_it(project: Project) -> None:
    """Else nobody can say next week what was built then, and by whose hand."""
    project.pipeline(DIAMOND)
    done = project.run("apply", "-q", "--set", "left=4")
    assert (done.code, done.err) == (0, "")
    (folder,) = runs_of(project)
    assert sorted(path.name for path in folder.iterdir()) == [
        "events.jsonl", "plan.json", "run.json",
    ]  # fmt: skip
    text = (folder / "plan.json").read_text()
    plan = PlanDocument.model_validate_json(text)
    assert is_intact(text.encode(), plan)
    assert plan.summary == {"run": 4, "reuse": 0, "wait": 0, "blocked": 0, "pruned": 0}
    assert all(decision.code_digest for decision in plan.decisions)
    assert str(project.root) not in text
    who = json.loads((folder / "run.json").read_text())
    record = json.loads((project.output_of("left") / ".executor_info").read_text())
    assert who == {
        "schema_version": 1,
        "run": folder.name,
        "start": who["start"],
        "provenance": record["provenance"],
    }
    assert record["run"] == folder.name
    assert "left=4" not in (folder / "run.json").read_text()


def test_what_builds_nothing_leaves_no_run(project: Project) -> None:
    """Else a cron job that finds everything built fills the bucket."""
    project.pipeline(DIAMOND)
    assert project.run("apply", "-q").code == 0
    assert project.run("apply", "-q").code == 0
    assert project.run("plan").code == 0
    assert len(runs_of(project)) == 1


def test_a_run_whose_plan_cannot_be_kept_goes_on(project: Project) -> None:
    """Else a folder nobody needs for building stops the build."""
    project.pipeline(DIAMOND)
    project.write(RUNS, "not a folder")
    done = project.run("apply", "-q")
    assert done.code == 0
    assert re.fullmatch(
        r"warning: neither plan nor journal of r-[0-9a-f]{8} is kept: cannot .+\n", done.err
    )
    assert project.counts() == {"corpus": 1, "left": 1, "report": 1, "right": 1}


def mask(project: Project, text: str) -> str:
    """Return what `diff` says without what differs from run to run."""
    return re.sub(r"DATE by [^)]+", "DATE by WHO", project.mask(text))


@pytest.fixture
def three_runs(project: Project) -> Project:
    """Everything; left with another number; and report once more."""
    project.pipeline(DIAMOND)
    for more in ([], ["--set", "left=7"], ["--set", "left=7", "--force", "report"]):
        assert project.run("apply", "-q", *more).code == 0
    return project


def test_two_runs_are_compared(three_runs: Project) -> None:
    """With neither pipeline nor git; else an old run cannot be told from a new one any more."""
    project = three_runs
    first, second, third = (folder.name for folder in runs_of(project))
    (project.root / "pipeline.py").unlink()
    done = project.run("diff", first, second, env=NO_GIT)
    assert (done.code, done.err) == (0, "")
    assert mask(project, done.out) == (
        "  * decision corpus_HASH  run -> reuse  (pipeline.py:37)\n"
        "  ~ changed  left_HASH    attrs.times 1 -> 7  (pipeline.py:38)\n"
        "  * decision right_HASH   run -> reuse  (pipeline.py:39)\n"
        "  ! cascade  report_HASH  needs left, which changed: attrs.times 1 -> 7"
        "  (pipeline.py:40)\n"
        "r-RUN (DATE by WHO) .. r-RUN (DATE by WHO): 1 changed, 1 cascade, 2 decision; 0 the same\n"
    )
    # What the third run pruned has not vanished.
    assert names(project.run("diff", second, third, "--json")) == [("decision", "left")]
    # Names of runs go with plans, and `latest` is the newest one.
    document = project.run("diff", first, "latest", "--json").document
    assert (document["old"]["kind"], document["old"]["name"]) == ("run", first)
    assert (document["new"]["kind"], document["new"]["name"]) == ("run", third)


def test_a_run_is_compared_with_the_files_and_with_a_plan(three_runs: Project) -> None:
    project = three_runs
    first = runs_of(project)[0].name
    assert names(project.run("diff", first, "--json", env=NO_GIT)) == []
    project.pipeline(DIAMOND.replace("times\n    (", "times + 1\n    ("))
    assert names(project.run("diff", first, "--json", env=NO_GIT)) == [
        ("code", "left"), ("code", "right"),
    ]  # fmt: skip
    assert project.run("plan", "-o", "saved", "--set", "right=1").code == 0
    assert names(project.run("diff", first, "saved", "--json")) == [
        ("decision", "corpus"), ("decision", "left"), ("changed", "right"), ("cascade", "report"),
    ]  # fmt: skip


def test_runs_are_looked_for_under_the_prefix(project: Project) -> None:
    project.pipeline(DIAMOND)
    assert project.run("apply", "-q", "--prefix", "elsewhere").code == 0
    (folder,) = (project.root / "elsewhere/.marin-build/runs").iterdir()
    assert names(project.run("diff", folder.name, "--prefix", "elsewhere", "--json")) == []
    assert names(project.run("diff", "latest", "--json", env={"MARIN_PREFIX": "elsewhere"})) == []
    done = project.run("diff", folder.name, env=NO_GIT)
    assert (done.code, done.out) == (4, "")
    assert project.mask(done.err) == (
        "error: there is no run `r-RUN`\n"
        f"  looked in:  PROJECT/{OUTPUTS}\n"
        "  kept there: 0 runs\n"
        "  nothing was compared\n"
        "hint: runs are kept where they were built: see --prefix\n"
    )


def test_a_name_that_is_nearly_a_run(three_runs: Project) -> None:
    name = runs_of(three_runs)[0].name
    wrong = name[:-1] + ("0" if name[-1] != "0" else "1")
    done = three_runs.run("diff", wrong, env=NO_GIT)
    assert done.code == 4
    assert f"hint: did you mean `{name}`" in done.err


def test_a_branch_may_be_named_like_a_run(project: Project) -> None:
    """Else a name that git knows is refused for its looks."""
    project.pipeline(DIAMOND)
    who = "git -c user.name=Ada -c user.email=ada@example.org"
    assert project.bash(
        "-c", f"git init -q -b r-0123abcd && git add -A && {who} commit -qm x"
    ).code == 0  # fmt: skip
    assert names(project.run("diff", "r-0123abcd", "--json")) == []


def test_a_run_whose_plan_was_changed_is_refused(three_runs: Project) -> None:
    """Else a run seems to have built what it has not."""
    folder = runs_of(three_runs)[0]
    plan = folder / "plan.json"
    text = plan.read_text()
    for edited in (text.replace('"engine": "local"', '"engine": "x"'), '{"schema_version": 1}'):
        plan.write_text(edited)
        done = three_runs.run("diff", folder.name)
        assert (done.code, done.out) == (5, "")
        assert done.err == (
            f"error: the plan of the run `{folder.name}` was changed after it was written\n"
            "  nothing was compared\n"
        )


def test_who_ran_it_may_be_missing(three_runs: Project) -> None:
    folder = runs_of(three_runs)[0]
    (folder / "run.json").unlink()
    done = three_runs.run("diff", folder.name, "latest")
    assert done.code == 0
    assert re.search(rf"^{folder.name} \.\. r-[0-9a-f]{{8}} \(", done.out, re.MULTILINE)


def test_many_targets_that_are_only_reused_are_folded(project: Project) -> None:
    """Else the two that changed drown in what the first run had to build."""
    project.pipeline(
        "from marin_build import command\n"
        "def pipeline(last: int = 1):\n"
        "    names = [f's{i}' for i in range(30)]\n"
        "    first = [command('touch {output}/x', name=name) for name in names]\n"
        "    return [*first, command(f'echo {last} > {{output}}/x', name='last')]\n"
    )
    assert project.run("apply", "-q").code == 0
    assert project.run("apply", "-q", "--set", "last=2").code == 0
    first, second = (folder.name for folder in runs_of(project))
    done = project.run("diff", first, second)
    assert done.out.count("run -> reuse") == 1
    assert "  * decision * (30 targets)  run -> reuse " in done.out
    assert project.run("diff", first, second, "-v").out.count("run -> reuse") == 30
