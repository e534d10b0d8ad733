"""Looking needs no loading: what ran can be read when the pipeline does not load, or is another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.gcs import GcsServer

from .support import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .support import Project

BUCKET = "outputs"
PREFIX = f"gs://{BUCKET}/run"
BROKEN = "def f(:\n"
SAYING = """\
from marin_build import step


@step(name="say/n")
def say(output: str, n: int) -> int:
    print("saying", n)
    return n


targets = [say(n=1)]
"""

FAILING = """\
from pathlib import Path

from marin_build import StepSpec, step


@step
def words(output: Path) -> int:
    print("counting")
    (output / "words.txt").write_text("to be\\n")
    return 2


@step
def train(output: Path, words: Path, rate: float) -> None:
    print("training at", rate)
    if rate > 0.1:
        raise ValueError("too high")
    (output / "model.txt").write_text(words.name)


def pipeline(rate: float = 0.5) -> list[StepSpec]:
    return [train(words=words(), rate=rate)]
"""


@pytest.fixture
def server() -> Iterator[GcsServer]:
    """A bucket of its own."""
    with GcsServer(BUCKET) as made:
        yield made


@pytest.fixture
def failed(project: Project) -> Project:
    """A project whose second step failed."""
    project.pipeline(FAILING)
    assert project.run("apply").code == 1
    return project


def test_logs_without_a_target_are_of_the_newest_failure(failed: Project) -> None:
    """Else a user has to find out what failed before he can read why."""
    done = failed.run("logs")
    assert (done.code, "training at 0.5" in done.out) == (0, True)
    assert done.err.startswith(f"==> {failed.output_of('train').name}: the newest failure, run r-")
    assert failed.run("apply", "words", "--force", "words").code == 0
    assert "training at 0.5" in failed.run("logs").out, "it still stands"
    assert failed.run("apply", "--set", "rate=0.05").code == 0
    assert "training at 0.5" in failed.run("logs").out


def test_logs_without_a_target_and_without_a_failure_are_the_newest(failed: Project) -> None:
    """Else a failure that was mended long ago hides what happens now."""
    failed.pipeline(FAILING.replace('raise ValueError("too high")', "pass"))
    assert failed.run("apply").code == 0
    done = failed.run("logs")
    assert (done.code, done.out) == (0, "training at 0.5\n")
    assert ": the newest attempt, run r-" in done.err
    empty = failed.run("logs", "--prefix", "nowhere")
    assert (empty.code, "name a target" in empty.err) == (4, True)


def test_looking_needs_no_pipeline_that_loads(failed: Project) -> None:
    """Else a typing error in one file keeps a user from the logs of the night."""
    before = failed.run("status").out
    failed.write("other.py", BROKEN)
    failed.pipeline(f"import other\n{FAILING}")
    status = failed.run("status")
    assert (status.code, status.out) == (0, before)
    assert "SyntaxError" in status.err
    assert "these are the targets of run r-" in status.err
    assert failed.run("status", "wor*").out.endswith("1 target: 1 built\n")
    assert failed.run("status", "--json", "status:failed").document["summary"]["failed"] == 1
    for words in (("train",), (), (failed.output_of("train").name,)):
        log = failed.run("logs", *words)
        assert (log.code, "training at 0.5" in log.out) == (0, True), words
    assert "SyntaxError" in failed.run("logs", "train").err
    assert failed.run("logs", "words", "--list").code == 0
    explained = failed.run("explain", "words")
    assert explained.code == 0
    assert "decision  none: the pipeline raised SyntaxError" in explained.out
    assert "made by   pipeline.words" in explained.out


def test_what_the_pipeline_declares_no_more_can_be_looked_at(failed: Project) -> None:
    """Else a renamed step takes its logs and its history with it."""
    assert failed.run("apply", "--set", "rate=0.05").code == 0
    assert failed.run("apply", "--set", "rate=0.01").code == 0
    newest = failed.run("path", "train@latest").out.strip().rpartition("/")[2]
    failed.pipeline(FAILING.replace("train", "fit"))
    done = failed.run("explain", newest)
    assert failed.mask(done.out).splitlines() == [
        "target    train_HASH",
        "decision  none: the pipeline does not declare `train_HASH` now",
        f"output    PROJECT/{OUTPUTS}/train_HASH",
        "built     DATE by USER@HOST, run r-RUN",
        "made by   pipeline.train",
        "compared  with train_HASH, built DATE by USER@HOST, run r-RUN",
        "changed   attrs.rate 0.05 -> 0.01",
        "needs     words_HASH",
    ]
    document = failed.run("explain", newest, "--json").document
    assert document["changed"]["changes"][0]["new"] == 0.01
    log = failed.run("logs", newest)
    assert (log.code, log.out) == (0, "training at 0.01\n")
    assert "does not declare" in log.err
    assert failed.run("status", "train").out == f"built  {newest}\n1 target: 1 built\n"


def test_a_wrong_option_is_still_an_error(failed: Project) -> None:
    """Else a typing error in `--set` shows another run, as if all were well."""
    for words in (("status",), ("path", "words"), ("logs", "words"), ("explain", "words")):
        done = failed.run(*words, "--set", "rats=1")
        assert (done.code, done.out) == (4, ""), words
        named = failed.run(*words, "-f", "nowhere.py")
        assert (named.code, named.out) == (4, ""), words


def test_results_are_found_where_there_is_no_pipeline(failed: Project) -> None:
    """Else a colleague needs the code to look at results on a shared disk."""
    prefix = failed.root / OUTPUTS
    (failed.root / "pipeline.py").unlink()
    assert failed.run("path", "words", "--prefix", prefix).out == f"{failed.output_of('words')}\n"
    assert failed.run("status", "--prefix", prefix).code == 0
    assert "training" in failed.run("logs", "--prefix", prefix).out


def test_looking_needs_no_pipeline_in_a_bucket(project: Project, server: GcsServer) -> None:
    """Else the logs of runs elsewhere are lost with one typing error."""
    project.build_in_bucket(server.url, PREFIX)
    project.pipeline(SAYING)
    assert project.run("apply").code == 0
    project.pipeline(BROKEN)
    assert project.run("logs").out == "saying 1\n"
    assert project.run("logs", "say/n").out == "saying 1\n"
    assert project.run("status").out.endswith("1 target: 1 built\n")
    assert "made by   pipeline.say" in project.run("explain", "say/n@latest").out
