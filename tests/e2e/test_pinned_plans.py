"""What a saved plan pins beside identity and code, who signed it, and which pipeline it is for."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from marin_build.plan.document import PlanDocument

if TYPE_CHECKING:
    from pathlib import Path

    from .support import Project

STEP = """
import os
from marin_build import ResourceConfig, StepSpec

def build(output_path):
    with open("built", "a") as stream:
        stream.write(os.environ.get("LR", "none") + "\\n")
    with open(os.path.join(output_path, "a.txt"), "w") as stream:
        stream.write("a")

targets = [StepSpec(name="train", fn=build{settings})]
"""
PINNED = ', env_vars={"LR": "0.1"}, resources=ResourceConfig(cpu=1), outputs=("a.txt",)'


def _declare(project: Project, settings: str = PINNED) -> None:
    project.pipeline(STEP.replace("{settings}", settings))


@pytest.fixture
def saved(project: Project) -> Project:
    """A plan of one step in `saved`."""
    _declare(project)
    assert project.run("plan", "-o", "saved").code == 0
    return project


def _built(project: Project) -> list[str]:
    file = project.root / "built"
    return file.read_text().split() if file.exists() else []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('{"LR": "0.1"}', '{"LR": "0.2"}', "`train`: env_vars.LR"),
        ('{"LR": "0.1"}', '{"LR": "0.1", "LD_PRELOAD": "x.so"}', "`train`: env_vars.LD_PRELOAD"),
        ("cpu=1", "cpu=1, image='evil:latest'", "image"),
        ('("a.txt",)', "()", "`train`: outputs"),
        (PINNED, f"{PINNED}, timeout=9, retries=2", "`train`: retries"),
        (PINNED, "", "`train`: resources"),
        (PINNED, f"{PINNED}, override_output_path='/tmp/elsewhere'", "`train`: output_path"),
    ],
    ids=["value", "added", "resources", "outputs", "retries", "all", "place"],
)
def test_a_step_that_would_run_otherwise_stops_the_plan(
    saved: Project, old: str, new: str, said: str
) -> None:
    """Else what was reviewed runs with another learning rate, image or library."""
    _declare(saved, PINNED.replace(old, new))
    done = saved.run("apply", "saved")
    assert (done.code, done.out) == (5, "")
    assert done.err.startswith("error: steps would not run as the plan in `saved` says\n")
    assert said in done.err
    assert _built(saved) == []


def test_what_no_run_sees_does_not_stop_a_plan(saved: Project) -> None:
    """Else a tag costs a new review."""
    _declare(saved, f"{PINNED}, tags=('a',), description='more words'")
    assert saved.run("apply", "saved").code == 0
    assert _built(saved) == ["0.1"]


@pytest.mark.parametrize("how", ["apply", "bash"])
def test_only_the_pipeline_of_the_plan_is_loaded(saved: Project, tmp_path: Path, how: str) -> None:
    """Else a file beside plans runs when a reviewed plan is applied."""
    shutil.move(saved.root / "saved", saved.root / "plans/saved")
    mark = tmp_path / "loaded"
    decoy = f"open({str(mark)!r}, 'w').close()\n" + saved.file("pipeline.py")
    saved.write("plans/pipeline.py", decoy)
    other = tmp_path / "other"
    other.mkdir()
    (other / "pipeline.py").write_text(decoy)
    plan = saved.root / "plans/saved"
    if how == "apply":
        done = saved.run("apply", plan, cwd=other)
        assert (done.code, done.err) == (0, "")
        assert (other / "built").read_text() == "0.1\n"  # a relative path, of the step's own
    else:  # the script looks for a file of that name only; `run-step` refuses what it found
        done = saved.bash(str(plan / "run.sh"), cwd=other)
        assert done.code == 5
        assert "the pipeline that the plan in" in done.err
    shutil.copytree(plan, tmp_path / "drop/saved")
    done = saved.run("apply", tmp_path / "drop/saved", cwd=other)
    assert (done.code, done.out) == (5, "")
    assert "pipeline that the plan in" in done.err
    assert not mark.exists()


@pytest.mark.parametrize("word", ["saved", "./saved", "saved/"])
def test_a_missing_plan_is_said_with_code_5(saved: Project, word: str) -> None:
    """Else a pipeline of commands takes it for a mistake in typing, and not for a lost plan."""
    os.unlink(saved.root / "saved/plan.json")
    done = saved.run("apply", word)
    assert (done.code, done.out) == (5, "")
    assert done.err == (
        f"error: no plan in `{word}`\n"
        "  reason: it has no `plan.json`\n"
        "  nothing was run\n"
        "hint: make one with `marin-build plan -o DIR`\n"
    )


def test_a_plan_is_missing_outside_projects_and_for_scripts_too(saved: Project) -> None:
    os.unlink(saved.root / "saved/plan.json")
    for done in (
        saved.run("apply", saved.root / "saved", cwd=saved.home),
        saved.run("apply", "gone/"),
        saved.run("run-step", "--plan", "saved", "--states"),
        saved.bash("saved/run.sh"),
    ):
        assert done.code == 5
        assert "error: no plan in `" in done.err
    assert saved.run("apply", "gone").code == 4


@pytest.mark.parametrize("kind", ["folder", "dangling", "empty", "bytes", "deep", "list", "cut"])
def test_an_unreadable_plan_is_said_with_code_5(saved: Project, kind: str) -> None:
    place = saved.root / "saved/plan.json"
    data = place.read_bytes()
    place.unlink()
    texts = {
        "empty": b"",
        "bytes": b"\xff\0",
        "deep": b"[" * 200_000,
        "list": b"[]",
        "cut": data[:-9],
    }
    match kind:
        case "folder":
            place.mkdir()
        case "dangling":
            place.symlink_to("gone")
        case _:
            place.write_bytes(texts[kind])
    done = saved.run("apply", "saved")
    assert (done.code, done.out) == (5, "")
    assert "nothing was run" in done.err
    assert "Traceback" not in done.err


def test_a_target_called_like_a_folder_stays_a_target(project: Project) -> None:
    """Else a folder of notes takes the place of a step."""
    _declare(project)
    (project.root / "train").mkdir()
    assert project.run("apply", "train").code == 0


@pytest.mark.parametrize("file", ["saved/plan.json", "saved/run.sh", "saved/steps/*/run.sh"])
@pytest.mark.parametrize("edit", ["space", "newline", "crlf"])
def test_white_space_is_an_edit(saved: Project, file: str, edit: str) -> None:
    """Else `rm -rf / tmp` is `rm -rf /tmp` in the eyes of the check."""
    (place,) = saved.root.glob(file)
    data = place.read_bytes()
    edits = {"space": b" ", "newline": b"\n", "crlf": b""}
    place.write_bytes(data.replace(b"\n", b"\r\n") if edit == "crlf" else data + edits[edit])
    done = saved.run("apply", "saved")
    assert (done.code, done.out) == (5, "")
    assert "was edited after it was made" in done.err


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A key of ada, who may sign, and one of eve."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("needs openssh-client")
    for name in ("ada", "eve"):
        words = ["-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name]
        subprocess.run(["ssh-keygen", *map(str, words)], check=True)
    (tmp_path / "allowed").write_text(f"ada {(tmp_path / 'ada.pub').read_text()}")
    return tmp_path


def test_only_signed_plans_are_applied(project: Project, keys: Path) -> None:
    """Else a plan that a stranger wrote runs, if its digests fit."""
    _declare(project)
    mark = project.root / "loaded"
    assert project.run("plan", "-o", "saved", "--sign", keys / "ada").code == 0
    verify = ("apply", "saved", "--verify-signature", keys / "allowed")
    project.pipeline(f"open({str(mark)!r}, 'w').close()\n" + project.file("pipeline.py"))
    plan = project.root / "saved/plan.json"
    sealed = plan.read_text()
    forged = PlanDocument.model_validate_json(sealed).model_copy(update={"code": "ignore"})
    kept = {name: project.file(f"saved/{name}") for name in forged.files}
    plan.write_text(forged.sealed_text(kept))
    done = project.run(*verify)
    assert (done.code, done.out) == (5, "")
    assert done.err.startswith("error: the signature of the plan in `saved` does not fit it\n")
    plan.write_text(sealed)
    script = project.root / "saved/run.sh"
    script.write_text(f"{script.read_text()}true\n")
    done = project.run(*verify)
    assert (done.code, "edited after it was made" in done.err) == (5, True)
    assert not mark.exists(), "a pipeline was loaded before the signature was checked"

    _declare(project)
    shutil.rmtree(project.root / "saved")
    assert project.run("plan", "-o", "saved", "--sign", keys / "eve").code == 0
    done = project.run(*verify)
    assert (done.code, done.out) == (5, "")
    assert "is not by an allowed signer" in done.err

    assert project.run("plan", "-o", "saved", "--sign", keys / "ada").code == 0
    assert project.run(*verify).code == 0
    assert _built(project) == ["0.1"]


def test_a_project_can_ask_for_signatures(project: Project, keys: Path) -> None:
    """Else the option is forgotten once, and that is enough."""
    _declare(project)
    shutil.copy(keys / "allowed", project.root / "allowed")
    project.write("marin-build.toml", 'allowed_signers = "allowed"\n')
    assert project.run("plan", "-o", "saved", "--sign", keys / "ada").code == 0
    assert project.run("plan", "-o", "saved").code == 0
    assert not (project.root / "saved/plan.json.sig").exists(), "that of the plan before"
    for done in (project.run("apply", "saved"), project.bash("saved/run.sh")):
        assert (done.code, done.out) == (5, "")
        assert "the plan in `" in done.err
        assert "is not signed" in done.err
    assert project.run("plan", "-o", "saved", "--sign", keys / "ada").code == 0
    assert project.bash("saved/run.sh").code == 0
    assert _built(project) == ["0.1"]


def test_options_of_signatures_are_refused_where_they_do_nothing(
    project: Project, keys: Path
) -> None:
    """Else a build that was to be checked runs unchecked."""
    _declare(project)
    for words in (
        ("plan", "--sign", keys / "ada"),
        ("apply", "--verify-signature", keys / "allowed"),
        ("apply", "train", "--verify-signature", keys / "allowed"),
        ("plan", "-o", "saved", "--sign", keys / "gone"),
    ):
        done = project.run(*words)
        assert (done.code, done.out) == (4, "")
    assert not (project.root / "saved").exists()
    assert _built(project) == []
