"""Who ran what, when, and how it ended is known later, wherever the prefix can be read."""

from __future__ import annotations

import json
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.gcs import GcsServer

from .support import DIAMOND, OUTPUTS, PATIENCE
from .test_journal import GATED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .support import Gate, Project

PREFIX = "gs://outputs/run"
FAILING = """\
from pathlib import Path

from marin_build import StepSpec, step


@step
def words(output: Path) -> int:
    (output / "words.txt").write_text("to be\\n")
    return 2


@step
def train(output: Path, words: Path, rate: float) -> None:
    if rate > 0.1:
        raise ValueError("too high\\x1b[2J")
    (output / "model.txt").write_text(words.name)


@step
def report(output: Path, model: Path) -> None:
    (output / "report.txt").write_text("fine")


def pipeline(rate: float = 0.5) -> list[StepSpec]:
    return [report(model=train(words=words(), rate=rate))]
"""

IN_BUCKET = """\
from marin_build import step


@step
def say(output: str, n: int) -> int:
    return 1 // n


def pipeline(n: int = 1):
    return [say(n=n)]
"""


@pytest.fixture
def server() -> Iterator[GcsServer]:
    """A bucket of its own."""
    with GcsServer("outputs") as made:
        yield made


def runs(project: Project, *args: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = project.run("runs", "--json", *args).document["runs"]
    return found


def test_runs_are_listed_the_newest_first_with_how_they_ended(project: Project) -> None:
    """Else the question what happened in the night is answered by searching in folders."""
    project.pipeline(FAILING)
    assert project.run("runs").out == f"no run is kept under {project.root / OUTPUTS}\n"
    assert project.run("apply", "-q").code == 1
    assert project.run("apply", "-q", "--set", "rate=0.05").code == 0
    assert project.run("apply", "-q", "--set", "rate=0.05").code == 0, "it has nothing to do"
    newer, older = runs(project)
    assert (newer["outcome"], older["outcome"]) == ("built", "failed")
    document = project.root / OUTPUTS / f".marin-build/runs/{newer['run']}/run.json"
    user, host = newer["by"].split("@")
    text = document.read_text().replace(f'"{user}"', '"grace"').replace(f'"{host}"', '"tpu-7"')
    document.write_text(text)
    newer, older = runs(project)
    assert (newer["by"], older["by"]) == ("grace@tpu-7", f"{user}@{host}")
    assert newer["counts"] == {"built": 2, "reused": 1}
    assert older["counts"] == {"built": 1, "failed": 1, "blocked": 1}
    assert newer["argv"][1:] == ["apply", "-q", "--set", "rate=..."], "values may be secrets"
    assert [run["outcome"] for run in runs(project, "--outcome", "failed")] == ["failed"]
    assert runs(project, "--target", "report", "--outcome", "built") == [newer]
    assert runs(project, "--target", "wor*") == [older]
    assert runs(project, "--target", "nothing") == []
    limited = project.run("runs", "--limit", "1")
    assert limited.out.splitlines()[1].startswith(f"{newer['run']}  built")
    assert limited.out.splitlines()[2] == "1 older run was not looked at: --limit 2"


def test_one_run_shows_its_failures_its_files_and_how_to_go_on(project: Project) -> None:
    project.pipeline(FAILING)
    assert project.run("apply", "-q").code == 1
    (run,) = runs(project)
    done = project.run("runs", run["run"][:5])
    assert done.code == 0, done.err
    shown = project.mask(done.out)
    assert "failed    train_HASH  exit code 1: ValueError: too high\\x1b[2J" in shown
    assert f"log: PROJECT/{OUTPUTS}/train_HASH/.logs/attempt-0001.log" in shown
    assert "blocked   report_HASH  by train" in shown
    assert "\x1b" not in done.out
    assert "go on:    the same command again: what is built is reused" in shown
    (journal,) = (project.root / OUTPUTS).glob(".marin-build/runs/*/events.jsonl")
    assert f"journal   {journal}\n" in done.out
    document = project.run("runs", "latest", "--json").document
    assert {each["name"]: each["outcome"] for each in document["targets"]} == {
        "words": "built", "train": "failed", "report": "blocked",
    }  # fmt: skip
    unknown = project.run("runs", "r-ffffffff")
    assert (unknown.code, "there is no run `r-ffffffff`" in unknown.err) == (4, True)


def test_a_run_that_was_killed_died_and_one_that_lives_runs(project: Project, gate: Gate) -> None:
    """Else a user waits for a run that is dead, or starts what runs already."""
    project.pipeline(GATED)
    running = project.start("apply")
    gate.wait_started()
    (run,) = runs(project)
    assert (run["outcome"], run["counts"]) == ("running", {"built": 1, "begun": 1})
    assert "  running   second_" in project.run("runs", "latest").out
    document = project.run("runs", "latest", "--json").document
    (begun,) = [each for each in document["targets"] if each["outcome"] == "begun"]
    assert begun["lease_renewed"] is not None
    running.send(signal.SIGKILL)
    running.process.wait(PATIENCE)
    assert running.wait_until_all_gone() == {}
    (run,) = runs(project)
    assert (run["outcome"], run["why"]) == ("died", f"its process {run['pid']} is gone")
    assert " s+  1 built, 1 begun " in project.run("runs").out, "when it died is not known"
    assert ", took at least " in project.run("runs", "latest").out
    again = project.start("apply")
    gate.wait_started()
    gate.let_go()
    assert again.wait().code == 0
    assert [each["outcome"] for each in runs(project)] == ["built", "died"]


def test_an_interrupted_run_is_neither_failed_nor_dead(project: Project, gate: Gate) -> None:
    project.pipeline(GATED)
    running = project.start("apply")
    gate.wait_started()
    running.send(signal.SIGINT)
    assert running.wait().code == 130
    (run,) = runs(project)
    assert run["outcome"] == "interrupted"
    assert run["counts"] == {"built": 1, "interrupted": 1}


def test_of_a_run_on_another_machine_no_more_is_said_than_is_known(
    project: Project, gate: Gate
) -> None:
    """Else a run that goes on elsewhere is called dead, and a second one is started."""
    project.pipeline(GATED)
    running = project.start("apply")
    gate.wait_started()
    (journal,) = (project.root / OUTPUTS).glob(".marin-build/runs/*/events.jsonl")
    text = journal.read_text()
    head = json.loads(text.splitlines()[0])
    text = text.replace(head["boot"], "another-boot").replace(head["worker"], "bob@tpu-7")
    journal.write_text(text)
    (run,) = runs(project)
    assert (run["outcome"], "it holds a lease, renewed" in run["why"]) == ("running", True)
    gate.let_go()
    assert running.wait().code == 0
    journal.write_text(text)  # as a bucket has it: its end was not sent yet
    (run,) = runs(project)
    assert run["outcome"] == "unfinished"
    assert run["why"] == "its journal has no end, and its process is on another machine"


def test_runs_of_others_are_seen_in_a_bucket_and_without_a_pipeline(
    project: Project, server: GcsServer
) -> None:
    """Else only the machine that ran it can say what ran."""
    project.build_in_bucket(server.url, PREFIX)
    project.pipeline(IN_BUCKET)
    assert project.run("apply", "-q", "--set", "n=0").code == 1
    (failed,) = project.run("runs", "latest", "--json").document["targets"]
    assert failed["log"] == f"{PREFIX}/{failed['target']}/.logs/attempt-0001.log"
    assert project.run("apply", "-q").code == 0
    (project.root / "pipeline.py").write_text("def f(:\n")
    server.calls.clear()
    run, other = runs(project)
    assert (run["outcome"], run["counts"]) == ("built", {"built": 1})
    assert other["outcome"] == "failed"
    assert run["journal"] == f"{PREFIX}/.marin-build/runs/{run['run']}/events.jsonl"
    assert len(server.calls) == 5, "a listing; who ran it and its journal, of each"
    done = project.run("runs", "latest")
    assert (done.code, done.err) == (0, "")
    assert "say_" in done.out
    (project.root / "pipeline.py").unlink()
    assert runs(project) == [run, other]


def test_runs_that_left_only_records_are_found_if_asked(project: Project) -> None:
    """Else what jobs and `run` built, and what a cleaned folder held, was built by nobody."""
    project.pipeline(DIAMOND)
    assert project.run("apply", "-q").code == 0
    (run,) = runs(project)
    shutil.rmtree(project.root / OUTPUTS / ".marin-build/runs")
    assert project.run("run", "corpus", "--force").code == 0
    assert runs(project) == []
    newer, older = runs(project, "--records")
    assert (newer["known_from"], older["known_from"]) == ("records", "records")
    assert (older["run"], older["counts"]) == (run["run"], {"built": 3})
    assert newer["counts"] == {"built": 1}
    shown = project.run("runs", older["run"])
    assert "known from records of what it built, and from nothing else" in shown.out


@pytest.mark.parametrize(
    "spoil",
    [
        b"",
        b"{}",
        b'{"event": "journal", "schema": "marin_build/events", "schema_version": 99}\n',
        b"\xff\xfe",
        b'{"event": "journal"' * 1000,
    ],
)
def test_a_damaged_journal_hides_its_run_only_in_part(project: Project, spoil: bytes) -> None:
    project.pipeline(DIAMOND)
    assert project.run("apply", "-q").code == 0
    assert project.run("apply", "-q", "--set", "lines=4").code == 0
    newest = runs(project)[0]["run"]
    folder = project.root / OUTPUTS / ".marin-build/runs" / newest
    (folder / "events.jsonl").write_bytes(spoil)
    (folder / "plan.json").write_bytes(spoil)
    found = runs(project)
    assert [run["outcome"] for run in found] == ["unfinished", "built"]
    assert (found[0]["run"], found[0]["why"]) == (newest, "no journal of it can be read")
    done = project.run("runs", newest)
    assert (done.code, "Traceback" in done.err) == (0, False)
    (folder / "run.json").write_bytes(spoil)
    assert len(runs(project)) == 2


def test_what_a_journal_claims_cannot_move_the_cursor_or_lead_elsewhere(project: Project) -> None:
    project.pipeline(DIAMOND)
    assert project.run("apply", "-q").code == 0
    (journal,) = (project.root / OUTPUTS).glob(".marin-build/runs/*/events.jsonl")
    head = json.loads(journal.read_text().splitlines()[0])
    evil = "\x1b[2J\u202e../../../etc/passwd"
    lines = [
        {**head, "worker": evil, "pid": 1, "boot": "", "start": 0},
        {"event": "step_started", "at": 1, "name": evil, "target": f"{evil}_11111111"},
        {"event": "step_failed", "at": 2, "name": 7, "target": [], "message": {"a": 1}},
        {"event": "step_started", "at": 1, "name": "a", "target": "../../a"},
    ]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for args in (("runs",), ("runs", "latest"), ("runs", "--target", "*")):
        done = project.run(*args)
        assert (done.code, done.err) == (0, ""), done.err
        assert "\x1b" not in done.out
        assert "\u202e" not in done.out
