"""What a workflow of GitHub does that one of GitLab does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .ci_story import GitHubStory, need_programs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def story(tmp_path: Path) -> GitHubStory:
    """A repository in which nothing is built."""
    need_programs(GitHubStory)
    return GitHubStory(tmp_path)


def test_a_failure_stands_at_the_line_of_the_step(story: GitHubStory) -> None:
    """Else a reviewer reads a log of an hour to find which step it was."""
    story.branch("main")
    story.edit('return {"loss": rate / 2}', 'raise ValueError("the loss is NaN")')
    story.push("main")
    job = story.build(by_hand=True)
    assert job.result == "failure"
    assert "::error file=pipeline.py,line=29,title=train/right failed::ValueError" in job.log
    assert "2 failed" in job.summary


def test_outputs_in_the_cache_of_ci_are_reused(tmp_path: Path) -> None:
    """Else a project without a bucket builds everything in each run."""
    need_programs(GitHubStory)
    story = GitHubStory(tmp_path, cache=True)
    assert story.build(by_hand=True).result == "success"
    assert story.builds() == ["corpus", "left", "right"]
    assert "1 step would run" in story.change(1, "rate=0.2", "rate=0.3").summary
    job = story.merge_and_build(1)
    assert job.result == "success", job.log
    assert story.builds() == ["right"]


def test_a_workflow_of_another_hand_is_not_overwritten(story: GitHubStory) -> None:
    """Else one command deletes what a team has written itself."""
    place = story.here / ".github/workflows/marin-build.yml"
    before = place.read_text()
    story.marin_build("ci", "github", "--install", "true")
    assert place.read_text() == before
    story.marin_build("ci", "github", "--branch", "trunk")
    edited = place.read_text().replace("timeout-minutes: 30", "timeout-minutes: 9")
    for text in ("name: ours\n", edited):
        place.write_text(text)
        done = story.marin_build("ci", "github", check=False)
        assert (done.returncode, place.read_text()) == (5, text)
