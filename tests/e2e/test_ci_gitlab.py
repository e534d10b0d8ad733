"""What GitLab has and GitHub has not: other ways to merge, projects without a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.gitlab import BOT, STRANGER

from .ci_story import GitLabStory, need_programs
from .support import shellcheck

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def story(tmp_path: Path) -> Iterator[GitLabStory]:
    """A repository in which everything of `main` is built."""
    need_programs(GitLabStory)
    made = GitLabStory(tmp_path)
    assert made.build(by_hand=True).result == "success"
    made.builds()
    yield made
    made.hub.close()


@pytest.mark.parametrize(
    ("method", "token"),
    [("merge", False), ("fast-forward", False), ("squash", False), ("squash", True)],
)
def test_however_it_is_merged_the_reviewed_plan_is_applied(
    story: GitLabStory, method: str, *, token: bool
) -> None:
    """Else a setting of the project decides whether a merge builds what was reviewed."""
    if not token:
        story.hub.variables.clear()
    assert story.change(1, "rate=0.2", "rate=0.3").result == "success"
    assert len(story.comments(1)) == token
    story.hub.merge(1, method=method)
    job = story.build()
    assert job.result == "success", job.log
    assert story.builds() == ["right"]
    # Without a token nothing says which merge request a squashed commit is of.
    assert (story.new_plan in job.log) == (method == "squash" and not token)


def test_the_note_is_found_among_hundreds_and_a_strangers_is_not_touched(
    story: GitLabStory,
) -> None:
    """Else each push adds a note, or a stranger's note makes each pipeline fail."""
    story.change(1, "rate=0.2", "rate=0.3")
    for number in range(150):
        story.hub.add_note(1, STRANGER, f"<!-- marin-build: plan --> {number}")
    job = story.change(1, "rate=0.2", "rate=0.4")
    assert job.result == "success", job.log
    assert len(story.comments(1)) == 151
    assert "0.2 -> 0.4" in story.comments(1)[0]


def test_a_plan_that_is_not_the_one_in_the_note_is_not_applied(story: GitLabStory) -> None:
    """Else who may start a pipeline has another plan applied than the one that was read."""
    story.change(1, "rate=0.2", "rate=0.3")
    (note,) = story.hub.requests[1].notes
    assert note["author"]["id"] == BOT
    note["body"] = note["body"].rpartition("<!-- digest:")[0] + f"<!-- digest: {'0' * 64} -->"
    job = story.merge_and_build(1)
    assert job.result == "success", job.log
    assert "is not the one in the note" in job.log
    assert story.new_plan in job.log


def test_an_artifact_overwrites_nothing_of_the_checkout(story: GitLabStory) -> None:
    """Else a plan brings files that were not reviewed, and its build runs them."""
    story.change(1, "rate=0.2", "rate=0.3")
    story.write("pipeline.py", "raise SystemExit('not reviewed')\n")
    kept = story.hub.requests[1].artifacts
    kept["marin-build plan"] = story.hub.added(kept["marin-build plan"], story.here / "pipeline.py")
    job = story.merge_and_build(1)
    assert job.result == "success", job.log
    assert story.new_plan not in job.log


def test_each_script_passes_shellcheck(story: GitLabStory, tmp_path: Path) -> None:
    """Else a word that is not quoted is found when a name has a blank."""
    jobs = story.hub.jobs_of(story.here)
    assert len(jobs) == 3
    for name, job in jobs.items():
        script = tmp_path / f"{name}.sh"
        script.write_text("#!/bin/bash\n" + "\n".join([*job["before_script"], *job["script"]]))
        shellcheck(script)
