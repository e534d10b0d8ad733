"""Which files of a project go into a bundle: in git checkouts, and elsewhere."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import UsageError
from marin_build.operations.engine_jobs import bundle_files
from marin_build.operations.engine_jobs.bundle_files import entries_of, may_hold_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MUCH = 1 << 20
HIDDEN = (".hidden", ".config/x")


def _git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "protocol.file.allow=always"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *who, *words], cwd=folder, check=True, env=environ, capture_output=True)


def _write(folder: Path, *names: str, text: str = "x") -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _paths(folder: Path, leave_out: str | None = None, limit: int = MUCH) -> list[str]:
    return sorted(entry.path for entry in entries_of(str(folder), leave_out, limit))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a commit, in which some files are tracked."""
    root = tmp_path / "project"
    root.mkdir()
    _git(root, "init", "-q")
    _write(root, "pipeline.py", "lm/model.py", ".github/ci.yml", "gone.py")
    _write(root, ".gitignore", text="ignored/\n*.log\n")
    _git(root, "add", "-A")
    _git(root, "commit", "-qm", "first")
    return root


TRACKED = [".github/ci.yml", ".gitignore", "lm/model.py", "pipeline.py"]


def test_a_bundle_holds_what_git_tracks_and_does_not_ignore(checkout: Path) -> None:
    """Else a job lacks the file that was written today, or a bundle carries gigabytes of data."""
    (checkout / "gone.py").unlink()
    _write(checkout, "new.py", "a\nb.py", "ü.py", "ignored/data", "x.log", "-n", " space ")
    # Ours, compiled Python, and the prefix are no code, whether git ignores them or not.
    _write(checkout, ".marin-build/x", "lm/__pycache__/model.pyc", "out/tokens_12345678/data")
    # Outputs of another prefix tell themselves.
    _write(checkout, "other/a/b_12345678/.executor_status", "other/a/b_12345678/deep/er/data")
    found = _paths(checkout, str(checkout / "out"))
    assert found == sorted([*TRACKED, "new.py", "a\nb.py", "ü.py", "-n", " space "])


def test_a_project_may_be_a_folder_of_a_checkout(checkout: Path) -> None:
    """Else a repository of several projects sends all of them with each job."""
    assert _paths(checkout / "lm") == ["model.py"]


def test_submodules_and_checkouts_inside_belong_to_it(checkout: Path, tmp_path: Path) -> None:
    """Else `import` of a library that is vendored as a submodule fails in the job."""
    library = tmp_path / "library"
    library.mkdir()
    _git(library, "init", "-q")
    _write(library, "code.py")
    _write(library, ".gitignore", text="*.bin\n")
    _git(library, "add", "-A")
    _git(library, "commit", "-qm", "first")
    for name in ("vendored", "absent"):
        _git(checkout, "submodule", "add", "-q", str(library), name)
    _git(checkout, "submodule", "deinit", "-f", "absent")
    _git(checkout, "clone", "-q", str(library), "cloned")
    _write(checkout, "vendored/new.py", "vendored/large.bin")
    inner = [
        *("cloned/.gitignore", "cloned/code.py"),
        *("vendored/.gitignore", "vendored/code.py", "vendored/new.py"),
    ]
    (checkout / "gone.py").unlink()
    assert _paths(checkout) == sorted([*TRACKED, ".gitmodules", *inner])


def test_elsewhere_a_bundle_holds_what_is_not_hidden(tmp_path: Path) -> None:
    """Else a project without git cannot be sent, or sends its virtual environment."""
    _write(tmp_path, "pipeline.py", "lm/model.py", ".env", ".config/x", ".venv/y", "lm/.cache")
    _write(tmp_path, "venv/pyvenv.cfg", "venv/lib/z.py", "out/a_12345678/data", "lm/__pycache__/c")
    _write(tmp_path, "other/a/b_12345678/.executor_status", "other/a/b_12345678/deep/er/data")
    (tmp_path / "linked").symlink_to("lm")
    assert _paths(tmp_path, str(tmp_path / "out")) == ["linked", "lm/model.py", "pipeline.py"]


def test_links_and_rights_are_kept(checkout: Path) -> None:
    """Else a script that a step calls cannot be executed, or a link is a copy of a folder."""
    (checkout / "pipeline.py").chmod(0o700)
    (checkout / "to").symlink_to("lm/model.py")
    (checkout / "lm" / "up").symlink_to("../pipeline.py")
    (checkout / "folder").symlink_to("lm")
    (checkout / "data").symlink_to("/data/corpus")  # the same place where it is there at all
    entries = {entry.path: entry for entry in entries_of(str(checkout), None, MUCH)}
    assert entries["pipeline.py"].is_program
    assert not entries["lm/model.py"].is_program
    links = {path: entry.data for path, entry in entries.items() if entry.is_link}
    assert links == {
        "to": b"lm/model.py", "lm/up": b"../pipeline.py", "folder": b"lm", "data": b"/data/corpus",
    }  # fmt: skip


@pytest.mark.parametrize("target", ["../outside", "lm/../../outside", "..", "{root}/lm", "{root}"])
def test_a_link_that_means_another_place_in_a_job_is_refused(checkout: Path, target: str) -> None:
    """Else a job reads another file than the one that was meant, or none."""
    (checkout / "to").symlink_to(target.format(root=checkout))
    with pytest.raises(UsageError, match="`to` would lead to another place"):
        _paths(checkout)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *((name, True) for name in (".env", ".ENV", ".env.local", "prod.env", ".netrc", "id_rsa",
                                    "server.pem", "tls.key", "credentials.json", ".pypirc")),
        *((name, False) for name in (".env.example", ".env.sample", "env.py", "environment.yml",
                                     "keys.py", "id_rsa.pub", "token.json", ".envrc.md")),
    ],
)  # fmt: skip
def test_files_that_may_hold_secrets_are_refused(checkout: Path, name: str, is_one: bool) -> None:
    """Else a password lies in a bucket, where all who read outputs can read it."""
    assert may_hold_secrets(name) == is_one
    _write(checkout, f"deep/{name}", text="PASSWORD=x")
    if not is_one:
        assert f"deep/{name}" in _paths(checkout)
        return
    with pytest.raises(UsageError, match="may hold secrets") as caught:
        _paths(checkout)
    assert f"deep/{name}" in caught.value.render()
    _write(checkout, ".gitignore", text=f"deep/{name}\n")
    assert f"deep/{name}" not in _paths(checkout)
    # Who commits it has shown it to all who read the repository.
    _git(checkout, "add", "-f", f"deep/{name}")
    assert f"deep/{name}" in _paths(checkout)


def test_too_large_a_bundle_names_its_largest_files(checkout: Path) -> None:
    """Else a person looks for the checkpoint among thousands of files."""
    for size in range(1, 15):
        _write(checkout, f"large/{size:02}.bin", text="x" * size * 1000)
    with pytest.raises(UsageError, match=r"have 103 KiB, and may have 9\.8 KiB") as caught:
        _paths(checkout, limit=10_000)
    named = [line.split()[-1] for line in dict(caught.value.facts)["largest"].splitlines()]
    assert named == [f"large/{size:02}.bin" for size in range(14, 4, -1)]


def test_a_name_that_is_no_utf8_is_refused(checkout: Path) -> None:
    """Else the program ends in a traceback, or the file is missing in the job."""
    with open(os.fsencode(checkout) + b"/bad\xff.py", "wb"):
        pass
    with pytest.raises(UsageError, match="no UTF-8") as caught:
        _paths(checkout)
    assert "bad\\udcff.py" in caught.value.render()


def test_a_file_that_changes_while_it_is_read_is_refused(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a job loads half of a file."""
    real, calls = bundle_files._version, iter(range(100))
    monkeypatch.setattr(bundle_files, "_version", lambda state: (*real(state), next(calls)))
    with pytest.raises(UsageError, match="changes while it is read"):
        _paths(checkout)


def test_a_file_that_cannot_be_read_is_named(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a bundle silently lacks it."""

    def refuse(*_args: object, **_kw: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(UsageError, match=r"cannot read `.*`") as caught:
        _paths(checkout)
    assert "permission denied" in caught.value.render()


def test_saved_plans_are_not_in_a_bundle(checkout: Path) -> None:
    """Else each saved plan makes the next bundle larger, and another one."""
    _write(checkout, "there/steps/a/job.sbatch", "there/bundle.zip", "there/notes.md")
    _write(checkout, "there/plan.json", text='{"plan_id": "p-1", "files": '
           '{"steps/a/job.sbatch": "", "bundle.zip": ""}}')  # fmt: skip
    _write(checkout, "other/plan.json", text='{"files": ["pipeline.py"]}')
    (checkout / "gone.py").unlink()
    assert _paths(checkout) == sorted([*TRACKED, "there/notes.md", "other/plan.json"])


@pytest.mark.parametrize(
    "environ", [{"PATH": "/nowhere"}, {"GIT_DIR": "/nowhere/.git"}, {"GIT_INDEX_FILE": "/nowhere"}]
)
def test_what_the_caller_set_for_git_does_not_count(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]
) -> None:
    """Else a hook, or a machine without git, makes a bundle of other files without a word."""
    (checkout / "gone.py").unlink()
    for key, value in environ.items():
        monkeypatch.setenv(key, value)
    if "PATH" not in environ:
        assert _paths(checkout) == TRACKED
        return
    with pytest.raises(UsageError, match="git does not list"):
        _paths(checkout)
