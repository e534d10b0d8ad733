"""From a request to merge to its results: the own scripts of workflows, run in order."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tests.servers.gitlab import quick_actions

from .ci_story import GitHubStory, GitLabStory, Story, need_programs
from .support import Gate, parent_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.git_host import Job


@pytest.fixture(params=[GitHubStory, GitLabStory], ids=["github", "gitlab"])
def story(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Story]:
    """A repository in which everything of `main` is built."""
    kind: type[Story] = request.param
    need_programs(kind)
    made = kind(tmp_path)
    job = made.build(by_hand=True)
    assert job.result == "success", job.log
    assert made.builds() == ["corpus", "left", "right"]
    yield made
    made.hub.close()


def test_a_change_is_reviewed_and_exactly_that_is_built(story: Story) -> None:
    """Else a merge builds what nobody saw."""
    job = story.change(1, "rate=0.2", "rate=0.3")
    assert job.result == "success", job.log
    (comment,) = story.comments(1)
    assert comment.splitlines()[1].startswith("**1 step would run")
    assert "cause: `pipeline.py:29`" in comment.splitlines()[1]
    assert "`attrs.rate 0.2 -> 0.3" in comment
    assert "train/right" in job.summary + job.log, "what is affected"
    assert story.builds() == []

    story.edit("rate=0.3", "rate=0.4")
    story.push("change-1")
    assert story.plan(1, "change-1").result == "success"
    (edited,) = story.comments(1)
    assert "0.2 -> 0.4" in edited

    job = story.merge_and_build(1)
    assert job.result == "success", job.log
    assert story.new_plan not in job.log
    assert story.builds() == ["right"]
    assert "**1 built, 2 reused" in (job.workspace / "summary.md").read_text()
    assert (job.workspace / "marin-build.xml").read_text().count("<testcase") == 1


def test_a_change_of_nothing_says_so(story: Story) -> None:
    """Else every edit of a README asks for a review of a plan."""
    story.branch("words")
    story.write("README.rst", "words\n")
    story.push("words")
    assert story.plan(2, "words").result == "success"
    (comment,) = story.comments(2)
    assert comment.splitlines()[1] == "**nothing to build**"
    job = story.merge_and_build(2)
    assert job.result == "success", job.log
    assert "nothing to do: " in job.log
    assert story.builds() == []


def test_a_plan_that_went_stale_is_made_anew_and_that_is_said(story: Story) -> None:
    """Else a merge after another one builds a mixture, or nothing."""
    assert story.change(3, "rate=0.1", "rate=0.5").result == "success"
    assert story.change(4, "lines=3", "lines=6").result == "success"
    assert story.merge_and_build(3).result == "success"
    assert story.builds() == ["left"]
    job = story.merge_and_build(4)
    assert job.result == "success", job.log
    assert story.new_plan in job.log
    assert story.builds() == ["corpus", "left", "right"]


def test_two_merges_at_once_build_each_target_once(story: Story) -> None:
    """Else two jobs pay for one training run twice, or one spoils the output of the other."""
    assert story.change(5, "lines=3", "lines=4").result == "success"
    story.merge(5)
    jobs: list[Job] = []
    threads = [threading.Thread(target=lambda: jobs.append(story.build())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [job.result for job in jobs] == ["success"] * 2, [job.log for job in jobs]
    assert story.builds() == ["corpus", "left", "right"]


def test_a_failure_is_in_the_report_of_tests(story: Story) -> None:
    """Else a reviewer reads a log of an hour to find which step it was."""
    story.branch("broken")
    story.edit('return {"loss": rate / 2}', 'raise ValueError("the loss is NaN")')
    story.edit("rate=0.2", "rate=0.7")
    story.push("broken")
    assert story.plan(6, "broken").result == "success"
    job = story.merge_and_build(6)
    assert job.result == "failure"
    assert "`train/right` failed" in job.log
    assert "1 failed" in (job.workspace / "summary.md").read_text()
    report = (job.workspace / "marin-build.xml").read_text()
    assert '<failure message="ValueError: the loss is NaN">' in report


def test_a_cancelled_run_is_resumed(story: Story, tmp_path: Path) -> None:
    """Else a cancelled job loses what it has built, or holds its leases."""
    gate = Gate(tmp_path / "gate").open()
    story.hub.environ["GATE"] = str(gate.folder)
    story.branch("long")
    story.write("gate.py", Gate.MODULE)
    story.edit(
        "    ran(name)\n",
        "    from gate import wait_at_gate\n\n    wait_at_gate(name)\n    ran(name)\n",
    )
    story.edit("lines=3", "lines=5")
    story.push("long")
    assert story.plan(7, "long").result == "success"
    story.merge(7)
    jobs: list[Job] = []
    thread = threading.Thread(target=lambda: jobs.append(story.build()))
    thread.start()
    _, pid = gate.wait_started()
    applier = _applier_above(pid)
    # What GitHub sends first, and what GitLab's runner does.
    os.kill(applier, signal.SIGINT if story.system == "github" else signal.SIGTERM)
    thread.join()
    assert jobs[0].result == "failure", jobs[0].log
    assert story.builds() == ["corpus"]
    gate.close()
    story.hub.environ["GATE"] = str(_open_gate(tmp_path / "open"))
    again = story.build(by_hand=True)
    assert again.result == "success", again.log
    assert story.builds() == ["left", "right"]


def _open_gate(folder: Path) -> Path:
    """Make a gate that lets each step through."""
    folder.mkdir()
    (folder / "started").touch()
    (folder / "go").touch()
    return folder


def _applier_above(pid: int) -> int:
    """Return the `marin-build apply` that a step runs under; what it forks has the same words."""
    found = pid
    while pid > 1:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            words = stream.read().split(b"\0")
        if b"apply" in words and any(word.endswith(b"marin-build") for word in words):
            found = pid
        pid = parent_of(pid)
    return found


def test_names_of_strangers_run_nothing(story: Story) -> None:
    """Else a request to merge from anyone runs commands with the rights of the workflow."""
    branch = "x$(touch${IFS}pwned)"
    story.branch("hostile")
    described = 'description="@everyone | <b>\\n\\n/close\\n"'
    story.edit('@step(name="train/{name}")', f'@step(name="train/{{name}}", {described})')
    story.edit("rate: float", "rate: float | str")
    story.edit("rate=0.2", 'rate="`@everyone\\n/merge\\n```\\n/close"')
    story.push(branch)
    job = story.plan(8, branch)
    assert job.result == "success", job.log
    assert not list(story.hub.folder.rglob("pwned"))
    (comment,) = story.comments(8)
    assert "/merge" in comment
    assert "@everyone" not in comment.replace("`@everyone", "")
    assert quick_actions(comment) == []


def test_a_fork_has_a_plan_and_no_comment(story: Story) -> None:
    """Else a stranger's code runs with the rights to write."""
    story.branch("fork")
    story.edit("rate=0.2", "rate=0.9")
    story.push("fork")
    job = story.plan_of_fork(9, "fork")
    assert job.result == "success", job.log
    assert "1 step would run" in (job.workspace / "plan.md").read_text()
    assert story.comments(9) == []


def test_a_fork_that_cannot_read_outputs_is_shown_what_it_affects(story: Story) -> None:
    """Else each request from outside is red, whatever it changes."""
    story.branch("fork")
    story.edit("rate=0.2", "rate=0.9")
    story.write("marin-build.toml", 'prefix = "nobodys://bucket"\n')
    story.push("fork")
    job = story.plan_of_fork(9, "fork")
    assert job.result == "success", job.log
    assert "train/right" in job.summary + job.log
    assert "credentials" in job.log
    assert story.plan(10, "fork").result == "failure"


def test_what_was_lost_is_told_the_next_morning(story: Story) -> None:
    """Else what was lost, or built by other code, is found out by a person."""
    assert not story.night()
    (lost,) = (story.outputs / "train").glob("left_*")
    lost.rename(story.outputs / "elsewhere")
    assert story.night()
    assert story.night()
    (story.outputs / "elsewhere").rename(lost)
    assert not story.night()
