"""What nothing needs goes, in two steps; what anything needs stays, whatever is killed then."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.servers.gcs import GcsServer

from .support import DIAMOND, OUTPUTS, cases

if TYPE_CHECKING:
    from pathlib import Path

    from .support import Done, Project

PIPELINE = """\
from pathlib import Path
from marin_build import step


def ran(name):
    with open(Path(__file__).parent / "ran.txt", "a") as stream:
        stream.write(name + "\\n")


@step
def raw(output: Path, n: int) -> None:
    ran("raw")
    (output / "sub").mkdir()
    (output / "sub" / "data").write_text("x" * n)


@step
def model(output: Path, raw: Path, lr: float) -> None:
    ran("model")
    (output / "model").write_text((raw / "sub" / "data").read_text())


def pipeline(n: int = 10, lr: float = 0.1):
    return [model(raw=raw(n=n), lr=lr)]
"""
NOW = ("--keep-last", "0", "--grace", "0", "--apply")


@pytest.fixture
def built(project: Project) -> Project:
    """A project with outputs of two identities: n=10, which is declared, and n=20."""
    project.pipeline(PIPELINE)
    for n in ("20", "10"):
        assert project.run("apply", "--set", f"n={n}").code == 0
    return project


def _names(project: Project) -> list[str]:
    """Return the names of the outputs, each with the bytes of its data."""
    found = []
    for path in (project.root / OUTPUTS).iterdir():
        if not path.name.startswith("."):
            data = [p for p in path.rglob("[!.]*") if p.is_file() and p.parent.name != ".logs"]
            found.append(f"{path.name.rpartition('_')[0]} {sum(p.stat().st_size for p in data)}")
    return sorted(found)


def _old(project: Project) -> Path:
    """Return the model that nothing declares."""
    models = (project.root / OUTPUTS).glob("model_*")
    return next(path for path in models if (path / "model").stat().st_size == 20)


BOTH = ["model 10", "model 20", "raw 10", "raw 20"]
DECLARED = ["model 10", "raw 10"]


def test_what_nothing_needs_is_shown_marked_and_deleted_after_its_time(built: Project) -> None:
    """Else an output is gone that somebody only forgot to name."""
    shown = built.run("gc", "--keep-last", "0")
    assert shown.code == 0
    assert "to mark: 2 outputs" in shown.out
    assert _names(built) == BOTH
    command = shown.out.splitlines()[-1].removeprefix("to do it: marin-build ").split()
    done = built.run(*command)
    assert done.code == 0, done
    assert "marked model_" in done.out
    assert "gc deletes it later" in built.run("status", "--set", "n=20").out
    assert "marked by gc" in built.run("ls", "--all").out
    assert _names(built) == BOTH
    later = built.run("gc", "--keep-last", "0", "--apply")
    assert "marked, not deleted yet: 2 outputs" in later.out
    assert _names(built) == BOTH
    last = built.run("gc", "--keep-last", "0", "--grace", "0s", "--apply")
    assert "deleted model_" in last.out
    assert _names(built) == DECLARED
    assert built.run("apply").out.startswith("nothing to do")
    assert built.run("gc").out.splitlines()[-1] == "nothing to do"
    assert not list((built.root / OUTPUTS / ".marin-build" / "trash").iterdir())


def test_another_list_than_the_reviewed_one_is_not_carried_out(built: Project) -> None:
    refused = built.run("gc", "--keep-last", "0", "--apply", "--list", "00000000")
    assert refused.code == 5
    assert "nothing was marked or deleted" in refused.err
    assert _marks(built) == []


def _marks(project: Project) -> list[str]:
    return sorted(
        path.parent.name.rpartition("_")[0]
        for path in (project.root / OUTPUTS).glob("*/.executor_status")
        if path.read_text().startswith("TOMBSTONE")
    )


def test_what_is_used_again_is_kept_with_what_it_was_made_from(built: Project) -> None:
    """Nothing is built again, and the next gc waits anew."""
    built.run("gc", "--keep-last", "0", "--apply")
    assert _marks(built) == ["model", "raw"]
    before = built.counts()
    used = built.run("apply", "--set", "n=20")
    assert used.out.startswith("nothing to do")
    assert _marks(built) == []
    built.run("gc", "--keep-last", "0", "--apply")
    assert built.run("apply", "--set", "n=20", "--set", "lr=0.2").code == 0
    assert built.counts()["raw"] == before["raw"], "its input was there"
    assert _marks(built) == ["model"]


def test_marks_are_taken_back(built: Project) -> None:
    built.run("gc", "--keep-last", "0", "--apply")
    assert built.run("gc", "--undo", "nothing").code == 4
    assert "unmarked model_" in built.run("gc", "--undo", "model").out
    assert _marks(built) == ["raw"]
    assert json.loads(built.run("gc", "--undo", "--json").out)["kept"][0]["name"] == "raw"
    assert _marks(built) == []
    assert built.run("gc", "--undo").out == "no output has a tombstone\n"


@cases(
    "arguments",
    parameters=(("--keep-set", "n=20"),),
    several=(("--keep-set", "n=20,lr=0.1"),),
    another_file=(("--keep-file", "other.py"),),
    newest=(("--keep-last", "2"),),
)
def test_what_else_is_named_is_kept(built: Project, arguments: tuple[str, ...]) -> None:
    built.write("other.py", PIPELINE.replace("n: int = 10", "n: int = 20"))
    done = built.run("gc", "--keep-last", "0", "--grace", "0", *arguments, "--apply")
    assert done.code == 0, done
    assert _names(built) == BOTH


def _git(project: Project, *words: str) -> None:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words]
    subprocess.run(command, cwd=project.root, check=True, capture_output=True)


def test_what_a_revision_declares_is_kept(built: Project) -> None:
    """A release can be rebuilt, whatever became of the pipeline since."""
    _git(built, "init", "-q")
    built.write("pipeline.py", PIPELINE.replace("n: int = 10", "n: int = 20"))
    _git(built, "add", "pipeline.py")
    _git(built, "commit", "-q", "-m", "x")
    _git(built, "tag", "v1")
    built.write("pipeline.py", PIPELINE)
    assert "nothing to do" in built.run("gc", "--keep-last", "0", "--keep-rev", "v1").out
    unknown = built.run("gc", "--keep-rev", "v9")
    assert unknown.code == 4
    assert "v9" in unknown.err
    _git(built, "rm", "-q", "-f", "pipeline.py")
    _git(built, "commit", "-q", "-m", "gone")
    _git(built, "tag", "v2")
    built.write("pipeline.py", PIPELINE)
    gone = built.run("gc", *NOW, "--keep-rev", "v2")
    assert gone.code == 4
    assert "there is no pipeline" in gone.err
    assert _names(built) == BOTH


@cases(
    "text",
    broken=("raise RuntimeError('no')\n",),
    unreadable=("def pipeline(:\n",),
    empty=("def pipeline():\n    return []\n",),
)
@pytest.mark.parametrize("is_other", [False, True])
def test_a_pipeline_that_does_not_load_never_means_that_nothing_is_needed(
    built: Project, text: str, is_other: bool
) -> None:
    """Else a typing error deletes all outputs."""
    built.write("other.py" if is_other else "pipeline.py", text)
    done = built.run("gc", *NOW, "--unknown", *(["--keep-file", "other.py"] if is_other else []))
    assert done.code == 4, done
    assert _names(built) == BOTH
    assert _marks(built) == []


def test_names_that_no_given_pipeline_declares_are_left_alone(built: Project) -> None:
    """A prefix may be shared: what others build is nobody's to delete."""
    built.write("mine.py", PIPELINE.replace("def model", "def mine").replace("[model", "[mine"))
    assert built.run("apply", "-f", "mine.py").code == 0
    shown = built.run("gc", "-f", "mine.py", "--keep-last", "0")
    assert "unknown: 2 outputs" in shown.out
    assert "raw" in shown.out  # that name is declared, and n=20 is not
    built.run("gc", "-f", "mine.py", *NOW)
    assert _names(built) == ["mine 10", "model 10", "model 20", "raw 10"]
    built.run("gc", "-f", "mine.py", *NOW, "--unknown")
    assert _names(built) == ["mine 10", "raw 10"]


def test_what_was_adopted_is_never_deleted_nor_its_place(built: Project) -> None:
    """It may be the only copy."""
    place = built.root / OUTPUTS / "old-checkpoint"
    place.mkdir()
    (place / "model").write_text("x" * 30)
    adopted = built.run("adopt", "model", "--set", "n=30", "--from", str(place))
    assert adopted.code == 0, adopted
    built.run("gc", *NOW, "--unknown")
    assert _names(built)[-3:] == ["model 0", "model 10", "raw 10"]
    assert (place / "model").exists()


def test_an_output_that_was_adopted_as_another_is_kept(built: Project) -> None:
    old = _old(built)
    built.run("gc", "--keep-last", "0", "--apply")  # it has a tombstone by then
    done = built.run("adopt", "model", "--set", "lr=0.7", "--from", str(old))
    assert done.code == 0, done
    built.run("gc", *NOW)
    assert (old / "model").exists()
    assert _marks(built) == []


def test_steps_that_say_keep_lose_no_build(project: Project) -> None:
    """Nor does what they were made from; also when they say so no more."""
    project.pipeline(PIPELINE.replace("@step\ndef model", "@step(keep=True)\ndef model"))
    for n in ("20", "10"):
        assert project.run("apply", "--set", f"n={n}").code == 0
    project.run("gc", *NOW)
    assert _names(project) == BOTH
    project.pipeline(PIPELINE)
    project.run("gc", *NOW)
    assert _names(project) == BOTH


def _link(project: Project, output: Path) -> None:
    moved = project.root / "elsewhere"
    output.rename(moved)
    output.symlink_to(moved)


def _foreign(_project: Project, output: Path) -> None:
    for path in (".executor_info", ".logs"):
        subprocess.run(["rm", "-r", str(output / path)], check=True)


def _damaged(_project: Project, output: Path) -> None:
    (output / ".executor_status").write_text("TOMBSTONE {")


def _not_ours(_project: Project, output: Path) -> None:
    (output / ".executor_info").write_text(json.dumps({"executor_version": "marin"}))


def _nested(_project: Project, output: Path) -> None:
    (output / "inner").mkdir()
    (output / "inner" / ".executor_status").write_text("SUCCESS")


def _held(_project: Project, output: Path) -> None:
    lease = {"worker_id": "ada@far run=r-12345678 attempt=2 nonce=n boot=b pid=1", "timestamp": 1.0}
    (output / ".executor_status.lock").write_text(json.dumps(lease))


def _no_status(_project: Project, output: Path) -> None:
    (output / ".executor_status").unlink()


@pytest.mark.parametrize(
    "change", [_link, _foreign, _damaged, _not_ours, _nested, _held, _no_status]
)
def test_what_is_not_surely_ours_and_unused_stays(built: Project, change: object) -> None:
    old = _old(built)
    change(built, old)  # type: ignore[operator]
    done = built.run("gc", *NOW, "--unknown")
    assert done.code == 0, done
    assert (old / "model").exists(), done


def test_hostile_names_and_documents_move_no_cursor_and_delete_nothing_else(built: Project) -> None:
    outputs = built.root / OUTPUTS
    outside = built.root / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    for number, name in enumerate(["\x1b[2J_1a2b3c4d", "a\nb_1a2b3c4d", "..x", "ü_1a2b3c4d"]):
        folder = outputs / name
        folder.mkdir()
        (folder / ".executor_status").write_text("SUCCESS")
        record = {
            "executor_version": "marin_build/1",
            "target": ["../../outside", name][number % 2],
            "end": "\x1b[2J",
            "deps": ["../.."],
        }
        (folder / ".executor_info").write_text(json.dumps(record))
        (folder / "link").symlink_to(outside)
    done = built.run("gc", *NOW, "--unknown", "-v")
    assert done.code == 0, done
    assert "\x1b" not in done.out + done.err
    assert (outside / "kept").exists()
    assert {"model 10", "raw 10"} <= set(_names(built))
    json.loads(built.run("gc", "--json", "-v").out)


def test_what_crashed_attempts_left_goes_too(project: Project) -> None:
    """A partial output is as large as a whole one."""
    project.pipeline(PIPELINE.replace("write_text((raw", "write_text(1 / 0 if lr > 1 else (raw"))
    assert project.run("apply", "--set", "lr=2").code == 1
    assert project.run("apply").code == 0
    shown = project.run("gc", "--keep-last", "0")
    assert "never finished" in shown.out
    project.run("gc", *NOW)
    assert len(_names(project)) == 2


KILLER = """
import os as _os
if "KILL_AT" in _os.environ:
    import itertools as _it, signal as _signal
    from marin_build.store.local import LocalStore
    from marin_build.run_step import trash

    _count = _it.count(1)

    def _counted(call):
        def counted(*args, **options):
            if next(_count) == int(_os.environ["KILL_AT"]):
                _os.kill(_os.getpid(), _signal.SIGKILL)
            return call(*args, **options)
        return counted

    for _name in ("put_if_absent", "replace_if", "delete_if", "delete", "move_folder"):
        setattr(LocalStore, _name, _counted(getattr(LocalStore, _name)))
    trash.clear_folder = _counted(trash.clear_folder)
"""


def test_gc_is_killed_at_every_write(built: Project) -> None:
    """Else what a gc that died has begun stays for ever, or is half deleted and counts as built."""
    built.pipeline(PIPELINE + KILLER)
    was_killed, at = True, -1
    while was_killed:
        at += 2
        assert built.run("apply", "--set", "n=20").code == 0
        code = built.run("gc", *NOW, env={"KILL_AT": str(at)}).code
        was_killed = code == -signal.SIGKILL
        assert code in (0, -signal.SIGKILL)
        assert built.run("gc", *NOW).code == 0
        assert _names(built) == DECLARED
        assert not list((built.root / OUTPUTS / ".marin-build" / "trash").iterdir())
    assert at > 10, "it was killed at several of its writes"


def test_gc_is_killed_at_every_write_while_a_run_uses_what_it_deletes(built: Project) -> None:
    """Neither loses what it needs: the run succeeds, or builds again; the next gc ends the work.

    How many writes there are depends on who comes first: beside a run gc may only mark.
    """
    built.pipeline(PIPELINE + KILLER)
    was_killed, at = True, -1
    while was_killed:
        at += 2
        assert built.run("apply", "--set", "n=20").code == 0
        other = built.start_fork("apply", "--set", "n=20", "--set", f"lr={at}")
        gc = built.start_fork("gc", *NOW, env={"KILL_AT": str(at)})
        code = gc.wait().code
        was_killed = code == -signal.SIGKILL
        assert code in (0, 1, -signal.SIGKILL)
        _finish(built, other.wait(), at)
        for model in (built.root / OUTPUTS).glob("model_*"):
            if _lr(model) == at:  # else gc has marked and deleted it since
                assert (model / "model").read_text() == "x" * 20
        last = built.run("gc", *NOW)
        assert last.code == 0, last
        assert _names(built) == DECLARED
        assert not list((built.root / OUTPUTS / ".marin-build" / "trash").iterdir())
    assert at > 1, "it was killed"


def test_what_a_link_in_place_of_the_trash_points_to_is_not_deleted(built: Project) -> None:
    """Else another user of the prefix makes `gc` delete what only its own user may delete."""
    precious = built.root / "precious" / "thesis"
    precious.mkdir(parents=True)
    (precious / "text").write_text("years of work")
    trash = built.root / OUTPUTS / ".marin-build" / "trash"
    trash.symlink_to(precious.parent)
    refused = built.run("gc", *NOW)
    assert refused.code == 1
    assert "a symbolic link" in refused.out + refused.err
    assert (precious / "text").read_text() == "years of work"
    assert _names(built) == BOTH
    trash.unlink()
    assert built.run("gc", *NOW).code == 0
    assert _names(built) == DECLARED


def _lr(output: Path) -> float:
    record = output / ".executor_info"
    return float(json.loads(record.read_text())["attributes"]["lr"]) if record.exists() else 0.0


def _finish(project: Project, done: Done, at: int) -> None:
    """Apply again where gc was faster than a run: it says so, and has left nothing half there."""
    if done.code != 0:
        assert "deleted since the plan was made" in done.out + done.err, done
        done = project.run("apply", "--set", "n=20", "--set", f"lr={at}")
    assert done.code == 0, done


BUCKET = "outputs"


def test_a_bucket_is_tidied_the_same_way(project: Project) -> None:
    with GcsServer(BUCKET) as server:
        project.build_in_bucket(server.url, f"gs://{BUCKET}/run")
        text = f"import fsspec\n{PIPELINE}"
        text = text.replace("output: Path", "output: str").replace("raw: Path", "raw: str")
        text = text.replace('    (output / "sub").mkdir()\n', "").replace(
            '(output / "sub" / "data").write_text("x" * n)',
            'fsspec.open(f"{output}/sub/data", "w").open().write("x" * n)',
        )
        text = text.replace(
            '(output / "model").write_text((raw / "sub" / "data").read_text())',
            'fsspec.open(f"{output}/model", "w").open().write("y")',
        )
        project.pipeline(text)
        for n in ("20", "10"):
            done = project.run("apply", "--set", f"n={n}")
            assert done.code == 0, done
        shown = project.run("gc", "--keep-last", "0")
        assert "a month" in shown.out
        project.run("gc", "--keep-last", "0", "--apply")
        assert project.run("apply", "--set", "n=20").out.startswith("nothing to do")
        done = project.run("gc", *NOW)
        assert done.code == 0, done
        objects = server.api.buckets.objects(BUCKET)
        folders = {name.split("/")[1] for name in objects if ".marin-build" not in name}
        assert {name.rpartition("_")[0] for name in folders} == {"model", "raw"}
        assert len(folders) == 2
        assert project.run("apply").out.startswith("nothing to do")
        latest = [name for name in objects if "/latest/" in name]
        assert len(latest) == 2, "they lead to what is left"


def test_versions_are_judged_one_by_one(project: Project) -> None:
    text = PIPELINE.replace("@step\ndef model", "@step(version='v1')\ndef model")
    project.pipeline(text)
    assert project.run("apply").code == 0
    project.pipeline(text.replace("'v1'", "'v2'"))
    assert project.run("apply").code == 0
    project.run("gc", *NOW)
    assert os.listdir(project.root / OUTPUTS / "model") == ["v2"]


TEMP = PIPELINE.replace("@step\ndef raw", "@step(temp=True)\ndef raw")


def test_temp_outputs_go_once_what_needs_them_is_built(project: Project) -> None:
    """And are built again only where they are needed again."""
    project.pipeline(TEMP)
    first = project.run("apply")
    assert first.code == 0
    assert "temp=True" in first.err
    assert _names(project) == ["model 10", "raw 0"]
    assert project.run("apply").out.startswith("nothing to do")
    assert project.counts() == {"raw": 1, "model": 1}
    assert "let go" in project.run("status").out
    plan = project.run("plan", "--set", "lr=0.2")
    assert "its output was deleted once what needs it was built" in plan.out
    assert project.run("apply", "--set", "lr=0.2").code == 0
    assert project.counts() == {"raw": 2, "model": 2}
    assert _names(project) == ["model 10", "model 10", "raw 0"]
    assert project.run("apply", "raw").code == 0
    assert _names(project)[-1] == "raw 10", "what is asked for stays"


def test_temp_changes_no_identity(project: Project) -> None:
    project.pipeline(PIPELINE)
    assert project.run("apply").code == 0
    project.pipeline(TEMP)
    assert project.run("apply").out.startswith("nothing to do")
    assert _names(project) == ["model 10", "raw 0"], "what was cut short before goes now"


def test_temp_outputs_stay_while_something_that_needs_them_has_failed(project: Project) -> None:
    project.pipeline(TEMP.replace("write_text((raw", "write_text(1 / 0 if lr > 1 else (raw"))
    assert project.run("apply", "--set", "lr=2").code == 1
    assert _names(project) == ["model 0", "raw 10"]
    assert project.run("apply", "--set", "lr=1").code == 0
    assert _names(project) == ["model 0", "model 10", "raw 0"]


def test_a_run_that_dies_before_it_lets_go_is_healed_by_the_next(project: Project) -> None:
    for at in range(1, 40):
        subprocess.run(["rm", "-rf", str(project.root / ".marin-build")], check=True)
        project.pipeline(PIPELINE)
        assert project.run("apply").code == 0
        project.pipeline(TEMP + KILLER)
        killed = project.run("apply", env={"KILL_AT": str(at)})
        healed = project.run("apply")
        assert healed.out.startswith("nothing to do"), healed
        assert _names(project) == ["model 10", "raw 0"], at
        if killed.code == 0:
            break
    else:
        pytest.fail("it never came to its end")
    assert at > 3


def test_a_dry_run_says_what_and_deletes_nothing(project: Project) -> None:
    """Else the word that users of other tools know is an error."""
    project.pipeline(DIAMOND)
    assert project.run("apply").code == 0
    before = project.tree(OUTPUTS)
    assert project.run("gc", "--dry-run").out == project.run("gc").out
    for word in ("--apply", "--undo"):
        done = project.run("gc", "--dry-run", word)
        assert (done.code, done.out) == (4, "")
    assert project.tree(OUTPUTS) == before
