"""What lies under a prefix, and what fills it, is told without guessing whose it is."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.gcs import GcsServer

from .support import OUTPUTS, PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .support import Gate, Project

PREFIX = "gs://outputs/run"
LOCAL = """\
from pathlib import Path

from marin_build import StepSpec, step


@step(name="data/words")
def words(output: Path) -> int:
    (output / "words.txt").write_text("to be\\n")
    return 2


@step
def train(output: Path, words: Path, size: int) -> None:
    if not size:
        (output / "half.bin").write_bytes(b"x" * 7)
        raise ValueError("no size")
    (output / "model.bin").write_bytes(b"x" * size)


@step
def report(output: Path, model: Path) -> None:
    (output / "report.txt").write_text("fine")


def pipeline(size: int = 1000) -> list[StepSpec]:
    return [report(model=train(words=words(), size=size))]
"""
REMOTE = """\
import fsspec

from marin_build import StepSpec, step


@step(name="data/words")
def words(output: str) -> int:
    with fsspec.open(f"{output}/words.txt", "w") as stream:
        stream.write("to be")
    return 2


@step
def train(output: str, words: int, size: int) -> None:
    with fsspec.open(f"{output}/model.bin", "wb") as stream:
        stream.write(b"x" * size)


def pipeline(size: int = 1000) -> list[StepSpec]:
    return [train(words=words(), size=size)]
"""
GATED = """\
from pathlib import Path
from gate import wait_at_gate
from marin_build import StepSpec

def slow(output):
    Path(output, "half").write_bytes(b"12345")
    wait_at_gate("slow")

targets = [StepSpec(name="slow", fn=slow)]
"""


@pytest.fixture
def server() -> Iterator[GcsServer]:
    """A bucket of its own."""
    with GcsServer("outputs") as made:
        yield made


def listed(project: Project, *args: str) -> dict[str, dict[str, Any]]:
    """Return what `ls` lists, by name; the newest of several."""
    document = project.run("ls", "--json", *args).document
    return {each["name"]: each for each in reversed(document["outputs"])}


def test_ls_tells_sizes_uses_and_who_needs_what(project: Project) -> None:
    project.pipeline(LOCAL)
    assert project.run("ls").out == f"no output lies under {project.root / OUTPUTS}\n"
    assert project.run("apply", "-q").code == 0
    assert project.run("apply", "-q", "--set", "size=50").code == 0
    found = listed(project)
    sizes = {name: (each["size"], each["files"]) for name, each in found.items()}
    assert sizes == {"data/words": (6, 1), "train": (1000, 1), "report": (4, 1)}
    assert {each["size_from"] for each in found.values()} == {"record"}
    assert {each["is_declared"] for each in found.values()} == {True}
    assert [each["is_declared"] for each in found["data/words"]["needed_by"]] == [True, False]
    assert found["data/words"]["last_used"] > found["data/words"]["built"]
    assert (found["report"]["needed_by"], found["report"]["last_used"]) == ([], None)
    assert not found["train"]["is_latest"], "another identity was built last"
    every = project.run("ls", "--all", "--json", "--sort", "size").document["outputs"]
    assert [each["size"] for each in every] == [1000, 50, 6, 4, 4]
    assert [each["is_declared"] for each in every].count(False) == 2
    used = project.run("ls", "--all", "--json", "--sort", "used").document["outputs"]
    moments = [each["last_used"] or each["built"] for each in used]
    assert moments == sorted(moments)
    text = project.run("ls").out
    assert "not shown: 2 outputs of older identities, 54 B (--all shows them)\n" in text


def test_patterns_are_names_ids_groups_and_globs(project: Project) -> None:
    project.pipeline(LOCAL)
    assert project.run("apply", "-q").code == 0
    target = project.output_of("train").name
    every = {"data/words", "train", "report"}
    wanted = {
        "train": {"train"},
        target: {"train"},
        "data": {"data/words"},
        "data/": {"data/words"},
        "*r*": {"train", "report"},
        "data/*": {"data/words"},
        "**": every,
    }
    for pattern, names in wanted.items():
        assert set(listed(project, pattern)) == names, pattern
    nothing = project.run("ls", "trian")
    assert (nothing.code, "did you mean `train`?" in nothing.err) == (4, True)


def test_what_is_not_ours_is_never_called_ours(project: Project) -> None:
    """Else a user deletes a colleague's data, which seemed to be an old output."""
    project.pipeline(LOCAL)
    assert project.run("apply", "-q").code == 0
    project.write(f"{OUTPUTS}/datasets/wiki/part-1.txt", "12345")
    project.write(f"{OUTPUTS}/copied_11111111/model.bin", "123")
    project.write(f"{OUTPUTS}/\x1b[2Jevil/x", "1")
    project.write(f"{OUTPUTS}/notes.txt", "1")
    done = project.run("ls")
    assert "\x1b" not in done.out
    lines = [line for line in done.out.splitlines() if "not ours" in line]
    assert [line.split()[0] for line in lines[:-1]] == [
        "\\x1b[2Jevil",
        "copied_11111111",
        "datasets",
    ]
    assert lines[-1] == "1 file there, not ours: notes.txt"
    assert project.run("ls", "--json").document["not_ours"][1]["why"] is None
    document = project.run("du", "--json").document
    assert {os.path.basename(each["path"]): each["size"] for each in document["not_ours"]} == {
        "\x1b[2Jevil": 1, "copied_11111111": 3, "datasets": 5,
    }  # fmt: skip
    assert document["outputs"]["size"] == 1010


def test_du_tells_groups_and_what_the_pipeline_does_not_declare(project: Project) -> None:
    project.pipeline(LOCAL)
    assert project.run("apply", "-q", "--set", "size=24").code == 0
    assert project.run("apply", "-q").code == 0
    document = project.run("du", "--json").document
    assert [(g["group"], g["size"], g["not_declared_size"]) for g in document["groups"]] == [
        ("train", 1024, 24), ("report", 8, 4), ("data", 6, 0),
    ]  # fmt: skip
    assert document["bookkeeping"] > 0
    assert document["size"] == document["bookkeeping"] + 1038
    text = project.run("du").out
    assert "28 B of 1.0 KiB belong to 2 identities that the pipeline does not declare" in text
    assert "a month" not in text, "a disk has no price"
    deeper = project.run("du", "data", "--json").document
    assert [group["group"] for group in deeper["groups"]] == ["data/words"]
    assert deeper["size"] == 6
    flat = project.run("du", "--depth", "0", "--json").document["groups"]
    assert [(group["group"], group["outputs"]) for group in flat] == [("", 5)]
    wrong = project.run("du", "dat")
    assert (wrong.code, "did you mean `data`?" in wrong.err) == (4, True)


def test_what_failed_is_measured_as_it_lies_there(project: Project) -> None:
    project.pipeline(LOCAL)
    assert project.run("apply", "-q", "--set", "size=0").code == 1
    failed = listed(project)["train"]
    assert (failed["state"], failed["size"], failed["size_from"]) == ("failed", 7, "listing")
    assert failed["built"] is None


def test_a_run_holds_what_it_builds_and_a_dead_one_does_not(project: Project, gate: Gate) -> None:
    """Else what is being built looks like something to delete."""
    project.pipeline(GATED)
    running = project.start("apply")
    gate.wait_started()
    slow = listed(project)["slow"]
    assert (slow["state"], slow["size"]) == ("running", 5)
    assert slow["held_by"]["run"].startswith("r-")
    assert ", attempt 1" in project.run("ls").out
    running.send(signal.SIGKILL)
    running.process.wait(PATIENCE)
    assert running.wait_until_all_gone() == {}
    assert listed(project)["slow"]["state"] == "gone"


@pytest.mark.parametrize("broken", ["def f(:\n", "import nothing_like_it\n", "1 / 0\n", None])
def test_both_work_and_say_so_if_the_pipeline_does_not_load(
    project: Project, broken: str | None
) -> None:
    project.pipeline(LOCAL)
    assert project.run("apply", "-q").code == 0
    if broken is None:
        (project.root / "pipeline.py").unlink()
    else:
        project.pipeline(broken)
    for command in ("ls", "du"):
        done = project.run(command)
        assert done.code == 0, done.err
        assert len(done.err.splitlines()) == 1
        assert done.err.endswith("which identities it declares now is not known\n")
    assert {each["is_declared"] for each in listed(project).values()} == {None}
    assert project.run("du", "--json").document["outputs"]["not_declared"] is None
    assert project.run("ls", "--engine", "nonsense", "--profile", "none").code == 4


def test_prefixes_of_others_can_be_looked_at(project: Project) -> None:
    project.pipeline(LOCAL)
    assert project.run("apply", "-q", "--prefix", "theirs").code == 0
    (project.root / "pipeline.py").unlink()
    assert set(listed(project, "--prefix", "theirs")) == {"data/words", "train", "report"}
    nowhere = project.run("ls", "--prefix", "nowhere")
    assert (nowhere.code, nowhere.out) == (0, f"no output lies under {project.root / 'nowhere'}\n")
    assert not (project.root / "nowhere").exists()
    a_file = project.write("file", "x")
    assert project.run("ls", "--prefix", a_file).code == 0
    assert project.run("du", "--prefix", "ftpx://nowhere/x").code == 4


def test_a_bucket_is_asked_little_and_a_month_has_a_price(
    project: Project, server: GcsServer
) -> None:
    """Else to look at a bucket of ten thousand outputs takes minutes, and costs money."""
    project.build_in_bucket(server.url, PREFIX)
    project.pipeline(REMOTE)
    assert project.run("apply", "-q").code == 0
    assert project.run("apply", "-q", "--set", "size=24").code == 0
    server.calls.clear()
    found = listed(project)
    assert {name: each["size"] for name, each in found.items()} == {"data/words": 5, "train": 1000}
    listings = [call for call in server.calls if call.path.endswith("/o")]
    reads = [call for call in server.calls if "/o/" in call.path]
    assert len(listings) <= 8, [call.query for call in listings]
    assert len(reads) <= 16, [call.path for call in reads]
    assert not any(call.query.get("prefix", "").count("train_") for call in listings)
    document = project.run("du", "--json").document
    assert document["dollars_per_gib_month"] == 0.02
    assert document["outputs"]["not_declared_size"] == 24
    assert "a month at $0.02 a GiB" in project.run("du").out
    project.write("prices.json", '{"storage": {"gs://outputs": null}}')
    project.write("marin-build.toml", 'prices = "prices.json"\n')
    assert project.run("du", "--json").document["dollars_per_gib_month"] is None
    missing = project.run("ls", "--prefix", "gs://no-such-bucket/x")
    assert (missing.code, "no-such-bucket" in missing.err) == (4, True)


def test_hostile_records_and_statuses_damage_their_own_row_only(project: Project) -> None:
    project.pipeline(LOCAL)
    assert project.run("apply", "-q").code == 0
    record = project.output_of("train") / ".executor_info"
    told = json.loads(record.read_text())
    told |= {
        "run": "r-\x1b[2J",
        "bytes": 10**30,
        "deps": ["\x1b]0;x\x07", "../../x"],
        "end": "\x1b",
    }
    record.chmod(0o644)
    record.write_text(json.dumps(told))
    for args in (("ls",), ("ls", "--all", "--sort", "used"), ("du",)):
        done = project.run(*args)
        assert (done.code, done.err) == (0, "")
        assert "\x1b" not in done.out
    for text in ('{"executor_version": "marin_build/1", "bytes": -1}', "[" * 100_000, "null"):
        record.write_text(text)
        assert project.run("ls").code == 0
        assert listed(project)["train"]["size"] == 1000, "it was listed"
    (project.output_of("report") / ".executor_status").write_text("\x1b[2J")
    assert listed(project)["report"]["state"] == "unreadable"


@pytest.mark.skipif(sys.platform != "linux", reason="names of other systems are text")
def test_a_name_that_is_no_text_is_shown(project: Project) -> None:
    project.pipeline(LOCAL)
    assert project.run("apply", "-q").code == 0
    os.mkdir(os.fsencode(project.root / OUTPUTS) + b"/caf\xe9")
    done = project.run("ls")
    assert (done.code, done.err) == (0, "")
    assert project.run("ls", "--json").code == 0
    assert project.run("du", "--json").code == 0
