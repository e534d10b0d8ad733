"""What we did not write is never deleted: data at output paths, and what links there point to."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.servers.gcs import GcsServer
from tests.servers.gcs_objects import Conditions

from .support import OUTPUTS, cases, tree

if TYPE_CHECKING:
    from pathlib import Path

    from .support import Project

PIPELINE = """\
from pathlib import Path
from marin_build import step


def ran(name):
    with open(Path(__file__).parent / "ran.txt", "a") as stream:
        stream.write(name + "\\n")


@step
def corpus(output: Path) -> None:
    ran("corpus")
    (output / "text").write_text("text")


@step(version="v1")
def train(output: Path, corpus: Path) -> None:
    ran("train")
    (output / "model").write_text("model")


@step
def score(output: Path, train: Path) -> None:
    ran("score")
    (output / "score").write_text((train / "model").read_text())


@step
def other(output: Path) -> None:
    ran("other")
    (output / "x").write_text("x")


def pipeline():
    return [score(train=train(corpus=corpus())), other()]
"""
TRAIN = f"{OUTPUTS}/train/v1"
CHECKPOINT = {"step-1.ckpt": b"hours", "meta/config.json": b"{}", ".hidden": b"x"}


def _put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def copied(project: Project) -> Path:
    """A checkpoint that was copied, without its dot files, to where `train` is to be built."""
    project.pipeline(PIPELINE)
    return _put(project.root / TRAIN, CHECKPOINT)


def test_data_that_no_build_left_blocks_its_target_only(project: Project, copied: Path) -> None:
    """The first `apply` deleted a checkpoint that was copied without its dot files."""
    document = json.loads(project.run("plan", "--json").out)
    found = {d["name"]: (d["decision"], d["reasons"][0]) for d in document["decisions"]}
    assert {name: decision for name, (decision, _) in found.items()} == {
        "corpus": "run", "train": "blocked", "score": "blocked", "other": "run"}  # fmt: skip
    reason = found["train"][1]
    assert (reason["kind"], reason["files"], reason["bytes"]) == ("foreign_data", 3, 8)
    for way_out in ("marin-build adopt train", "--overwrite train", "another version"):
        assert way_out in reason["text"]
    assert "foreign data" in project.run("explain", "train").out
    for words in [(), ("--force", "train"), ("--isolation", "thread"), ("train", "--no-lease")]:
        done = project.run("apply", *words)
        assert (done.code, "foreign data" in done.out + done.err) == (1, True), done
        assert tree(copied) == CHECKPOINT
    assert project.counts() == {"corpus": 1, "other": 1}
    alone = project.run("run", "train")
    assert (alone.code, "foreign data" in alone.err) == (4, True), alone
    assert tree(copied) == CHECKPOINT
    adopted = project.run("adopt", "train")
    assert (adopted.code, "2 files verified" in adopted.out) == (0, True), adopted
    assert project.run("plan", "--json", "train").document["summary"]["reuse"] == 1
    assert project.run("apply", "--force", "train").code == 5
    assert CHECKPOINT.items() <= tree(copied).items()


def test_overwriting_is_reviewed_and_replayed_exactly(project: Project, copied: Path) -> None:
    """A review of a plan that deletes three files is no agreement to delete a fourth one."""
    shown = project.run("plan", "--overwrite", "train", "-o", "plans/p")
    assert shown.code == 0
    assert "deletes foreign data: `.hidden` and 2 more, 8 B (--overwrite)" in shown.out
    assert "deletes foreign data" in project.file("plans/p/steps/train@v1/run.sh")
    plain = project.run("plan", "train").out
    assert shown.out.splitlines()[-3] != plain.splitlines()[-2]  # the ids differ
    late = copied / "late.ckpt"
    late.write_text("another person's")
    done = project.run("apply", "plans/p")
    assert (done.code, "late" in done.out or "3 more" in done.out) == (1, True), done
    scripts = project.bash("plans/p/run.sh")
    assert (scripts.code, "foreign data" in scripts.out) == (1, True), scripts
    assert CHECKPOINT.items() < tree(copied).items()
    assert late.read_text() == "another person's"
    assert not (copied / ".executor_status").exists()
    late.unlink()
    assert project.bash("plans/p/run.sh").code == 0
    assert (copied / "model").read_text() == "model"
    assert not CHECKPOINT.keys() & tree(copied).keys()
    assert project.run("apply", "plans/p").code == 0
    assert project.counts() == {"corpus": 1, "other": 1, "score": 1, "train": 1}


def test_overwrite_is_an_option_of_apply_and_of_projects(project: Project, copied: Path) -> None:
    """And it touches only what it selects."""
    project.write(
        "build.py",
        "from marin_build import Project\n"
        "project = Project.open('pipeline.py')\n"
        "print(project.plan('train').decisions['train@v1'].kind)\n"
        "print(project.plan('train', overwrite='train').to_build)\n",
    )
    assert project.run("apply", "--overwrite", "other").code == 1
    assert tree(copied) == CHECKPOINT
    refused = project.run("apply", "--overwrite", "nothing")
    assert (refused.code, tree(copied)) == (4, CHECKPOINT)
    assert project.run("apply", "--overwrite", "tr*").code == 0
    assert (copied / "model").read_text() == "model"
    again = project.run("apply", "--overwrite", "train")
    assert (again.code, "nothing to do" in again.out) == (0, True)


COMES_LATER = """\
import shutil
from pathlib import Path
from marin_build import step

HERE = Path(__file__).parent


@step
def first(output: Path) -> None:
    shutil.copytree(HERE / "attic", HERE / ".marin-build/outputs/second/v1")
    (output / "x").write_text("x")


@step(version="v1"{options})
def second(output: Path, first: Path) -> None:
    (output / "y").write_text("y")


def pipeline():
    return [second(first=first())]
"""


@pytest.mark.parametrize("how", ["apply", "scripts"])
def test_data_that_comes_after_the_plan_is_found_under_the_lease(
    project: Project, how: str
) -> None:
    """A build of hours lies between the plan and the start of its last step."""
    project.pipeline(COMES_LATER.replace("{options}", ""))
    _put(project.root / "attic", CHECKPOINT)
    if how == "apply":
        done = project.run("apply")
    else:
        assert project.run("plan", "-o", "p").code == 0
        done = project.bash("p/run.sh")
    assert (done.code, "foreign data" in done.out) == (5 if how == "apply" else 1, True), done
    assert project.tree(f"{OUTPUTS}/second/v1") == CHECKPOINT
    assert project.run("apply").code == 1
    assert project.tree(f"{OUTPUTS}/second/v1") == CHECKPOINT


def test_a_resumable_step_goes_on_with_a_checkpoint(project: Project) -> None:
    """To put a checkpoint there is how a person has it resumed; nothing is cleared."""
    project.pipeline(COMES_LATER.replace("{options}", ", resumable=True"))
    _put(project.root / "attic", CHECKPOINT)
    assert project.run("apply").code == 0
    assert CHECKPOINT.items() < project.tree(f"{OUTPUTS}/second/v1").items()


SWAPS = """\
import os
import shutil
from pathlib import Path
from marin_build import command, step

HERE = Path(__file__).parent


@step
def good(output: Path) -> None:
    (output / "text").write_text("text")


@step
def linker(output: Path) -> None:
    shutil.rmtree(output)
    output.symlink_to(HERE / "TARGET")
    print("said")


def pipeline():
    shell = command("rm -rf {output}; ln -s $PWD/TARGET {output}; echo said; THEN", name="shell")
    return [good(), linker(), shell]
"""


@cases(
    "then isolation",
    ends_well=("true", "process"),
    fails=("false", "process"),
    in_threads=("true", "thread"),
    writes_through=("echo new > {output}/new; rm {output}/new", "process"),
)
@pytest.mark.parametrize("is_output", [False, True], ids=["corpus", "output"])
def test_a_step_that_puts_a_link_in_the_place_of_its_output(
    project: Project, then: str, isolation: str, is_output: bool
) -> None:
    """The second plain `apply` emptied the corpus; another target was emptied and FAILED."""
    # No lease keeper looks, and ends the step, between the end of the folder and the link.
    project.write("marin-build.toml", "lease = 36000\n")
    project.pipeline(SWAPS.replace("THEN", then))
    corpus = _put(project.root / "corpus", {"a": b"1", "sub/b": b"2"})
    assert project.run("apply", "good").code == 0
    good = project.output_of("good")
    target = good if is_output else corpus
    inside = str(target.relative_to(project.root))
    project.pipeline(SWAPS.replace("THEN", then).replace("TARGET", inside))
    before = tree(target)
    first = project.run("apply", "-k", "--isolation", isolation)
    assert first.code == 1
    assert first.out.count("in the place of its output") == 2, first.out
    plan = json.loads(project.run("plan", "--json").out)
    kinds = {d["name"]: d["reasons"][0]["kind"] for d in plan["decisions"]}
    assert (kinds["linker"], kinds["shell"]) == ("not_a_folder", "not_a_folder")
    for words in [
        ("apply",), ("apply", "--force", "*"), ("apply", "--overwrite", "*"),
        ("apply", "--no-lease"), ("run", "linker"), ("adopt", "linker"),
        ("taint", "linker", "--reason", "bad"), ("apply",), ("unlock", "linker", "--force"),
        ("accept", "linker", "--reason", "fine"), ("commit", "linker", "--no-artifact"),
    ]:  # fmt: skip
        done = project.run(*words)
        assert done.code != 3, done
        found = {name: data for name, data in tree(target).items() if name in before}
        if "--force" not in words or not is_output:
            assert tree(target) == before, words
        assert set(found) == set(before)
        before = tree(target)
    for link in project.root.glob(f"{OUTPUTS}/*_????????"):
        if link.is_symlink():
            link.unlink()
    assert tree(target) == before


@pytest.mark.parametrize("then", ["true", "false"])
def test_a_step_that_moves_a_folder_to_the_place_of_its_output(project: Project, then: str) -> None:
    """The lease goes with the folder; an attempt written beside the corpus would make it ours."""
    project.pipeline(
        "from marin_build import command\n"
        f"swap = 'rm -rf {{output}}; mv $PWD/corpus {{output}}; {then}'\n"
        "targets = [command(swap, name='mover')]\n"
    )
    corpus = _put(project.root / "corpus", {"a": b"1", "sub/b": b"2"})
    data = tree(corpus)
    stopped = project.run("apply")
    assert (stopped.code, "was deleted while the step ran" in stopped.out) == (5, True), stopped
    assert "--overwrite mover" in stopped.out + stopped.err
    output = project.output_of("mover")
    for words in [(), ("--force", "mover"), ("-k",)]:
        assert tree(output) == data
        done = project.run("apply", *words)
        assert (done.code, "foreign data" in done.out + done.err) == (1, True), done
    assert tree(output) == data


@pytest.mark.parametrize("kind", ["link", "dangling", "file", "pipe"])
def test_what_a_person_put_in_the_place_of_an_output(project: Project, kind: str) -> None:
    """A pipe made every command hang; what a link points to was emptied."""
    project.pipeline(PIPELINE)
    corpus = _put(project.root / "corpus", CHECKPOINT)
    place = project.root / TRAIN
    place.parent.mkdir(parents=True)
    match kind:
        case "link":
            place.symlink_to(corpus)
        case "dangling":
            place.symlink_to(project.root / "nowhere")
        case "file":
            place.write_text("mine")
        case _:
            os.mkfifo(place)
    for words in [(), ("--force", "train"), ("--overwrite", "train")]:
        done = project.run("apply", *words)
        assert (done.code, "in the place of its output" in done.out + done.err) == (1, True)
    assert tree(corpus) == CHECKPOINT
    assert not (project.root / "nowhere").exists()
    assert project.run("adopt", "train").code != 0
    assert project.counts() == {"corpus": 1, "other": 1}
    place.unlink()
    assert project.run("apply").code == 0


def test_links_above_an_output_are_the_user_s_own(project: Project, tmp_path: Path) -> None:
    """A prefix on a larger disk, and a name of which all outputs lie there."""
    project.pipeline(PIPELINE)
    for name in ("disk", "big"):
        (tmp_path / name).mkdir()
    (project.root / ".marin-build").mkdir()
    (project.root / OUTPUTS).symlink_to(tmp_path / "disk")
    (tmp_path / "disk/train").symlink_to(tmp_path / "big")
    assert project.run("apply").code == 0
    assert (tmp_path / "big/v1/model").read_text() == "model"
    assert project.run("apply", "--force", "train").code == 0
    built = project.output_of("other")
    built.rename(tmp_path / "other")  # moved away, and read through a link from now on
    built.symlink_to(tmp_path / "other")
    assert project.run("apply").code == 0
    before = tree(tmp_path / "other")
    assert project.run("apply", "--force", "other").code == 1
    assert tree(tmp_path / "other") == before


BUCKET = """\
import fsspec
from marin_build import step


def write(path):
    with fsspec.open(path, "w") as stream:
        stream.write("x")


@step
def corpus(output: str) -> None:
    write(f"{output}/text")


@step(version="v1")
def train(output: str, corpus: str) -> None:
    write(f"{output}/model")


@step
def other(output: str) -> None:
    write(f"{output}/x")


def pipeline():
    return [train(corpus=corpus()), other()]
"""


def test_a_bucket_is_no_different(project: Project) -> None:
    """Keys under the path of an output are all that a copy of a checkpoint is there."""
    project.pipeline(BUCKET)
    with GcsServer("outputs") as server:
        project.build_in_bucket(server.url, "gs://outputs/run")

        def keys(folder: str) -> list[str]:
            return [k for k in server.api.buckets.objects("outputs") if k.startswith(folder)]

        server.api.buckets.insert("outputs", "run/train/v1/step-1.ckpt", b"hours", Conditions())
        document = json.loads(project.run("plan", "--json").out)
        kinds = {d["name"]: d["reasons"][0]["kind"] for d in document["decisions"]}
        assert kinds == {"corpus": "never_built", "train": "foreign_data", "other": "never_built"}
        done = project.run("apply")
        assert (done.code, "2 built" in done.out, "1 blocked" in done.out) == (1, True, True), done
        assert keys("run/train/") == ["run/train/v1/step-1.ckpt"]
        assert project.run("apply", "--overwrite", "train").code == 0
        assert "run/train/v1/model" in keys("run/train/")
        assert "run/train/v1/step-1.ckpt" not in keys("run/train/")
