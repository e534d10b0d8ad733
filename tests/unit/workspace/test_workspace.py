"""Outputs must land under the prefix the person gave, wherever the program is started."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import UsageError
from marin_build.workspace.configuration import read_configuration
from marin_build.workspace.places import is_url
from marin_build.workspace.workspace import (
    Workspace,
    absolute_prefix,
    common_prefix,
    current_workspace,
    default_workspace,
    find_project,
    installed_in,
    joins_identity,
    project_of,
    use_workspace,
)
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("prefix", "absolute"),
    [
        ("out", "/base/out"),
        ("./out/", "/base/out"),
        ("../out", "/out"),
        ("/data//out/", "/data/out"),
        ("gs://bucket/a/", "gs://bucket/a"),
        ("s3://bucket", "s3://bucket"),
    ],
)
def test_a_prefix_becomes_absolute_without_a_trailing_slash(prefix: str, absolute: str) -> None:
    assert absolute_prefix(prefix, "/base") == absolute


def test_a_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert absolute_prefix("~/out", "/base") == "/home/ada/out"


@pytest.mark.parametrize(
    ("path", "url"), [("gs://b", True), ("/a/b", False), ("C:/b", False), ("a:b", False)]
)
def test_urls_are_told_from_folders(path: str, url: bool) -> None:
    assert is_url(path) is url


@pytest.mark.parametrize("marker", ["marin-build.toml", "pyproject.toml", ".git"])
def test_the_project_is_the_nearest_folder_with_a_marker(tmp_path: Path, marker: str) -> None:
    inner = tmp_path / "project" / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "project" / marker).touch()
    (tmp_path / marker).touch()
    assert find_project(str(inner)) == str(tmp_path / "project")


def test_the_default_prefix_is_in_the_project_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    below = tmp_path / "below"
    below.mkdir()
    assert default_workspace({}, str(below)) == Workspace(
        str(tmp_path), f"{tmp_path}/.marin-build/outputs"
    )
    given = default_workspace({"MARIN_PREFIX": "here"}, str(below))
    assert given == Workspace(str(tmp_path), f"{below}/here")


def test_the_configuration_says_where_and_how_a_program_builds(tmp_path: Path) -> None:
    """Else StepRunner builds elsewhere than the command line, or another target."""
    (tmp_path / "marin-build.toml").write_text('prefix = "shared"\ncode = "rebuild"\n')
    assert default_workspace({}, str(tmp_path)) == Workspace(
        str(tmp_path), f"{tmp_path}/shared", "rebuild"
    )
    given = default_workspace({"MARIN_PREFIX": "here"}, str(tmp_path))
    assert given == Workspace(str(tmp_path), f"{tmp_path}/here", "rebuild")


@pytest.mark.parametrize("line", ["prefix = 1", 'code = "always"', "prefix ="])
def test_a_configuration_that_cannot_be_followed_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "marin-build.toml").write_text(line)
    with pytest.raises(UsageError):
        default_workspace({}, str(tmp_path))


def test_a_workspace_holds_for_a_block_and_the_former_one_comes_back(workspace: Workspace) -> None:
    other = Workspace("/other", "gs://bucket")
    with in_workspace(other):
        assert current_workspace() == other
    assert current_workspace() == workspace


def test_steps_that_run_in_threads_see_the_same_workspace(workspace: Workspace) -> None:
    seen: list[Workspace] = []
    thread = Thread(target=lambda: seen.append(current_workspace()))
    thread.start()
    thread.join()
    assert seen == [workspace]


def test_the_authors_word_on_code_goes_before_that_of_the_run() -> None:
    """Else `--code-policy` rebuilds what its author said must not be rebuilt for its code."""
    for run, said, policy in (
        (None, None, "report"), ("rebuild", None, "rebuild"), ("rebuild", "ignore", "ignore"),
        ("ignore", "rebuild", "rebuild"), (None, "ignore", "ignore"),
    ):  # fmt: skip
        place = Workspace("/p", "/p/out", run)  # type: ignore[arg-type]
        with in_workspace(place):
            assert place.policy(said) == policy  # type: ignore[arg-type]
            assert joins_identity(said) == (policy == "rebuild")  # type: ignore[arg-type]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A project with a helper project inside, packages, and a folder of no project."""
    for path in (
        "one/pyproject.toml", "one/sub/pl.py", "one/inner/marin-build.toml", "one/inner/pl.py",
        "one/.venv/lib/site-packages/acme/pl.py", "target/acme-1.dist-info/METADATA",
        "target/acme/deep/pl.py", "bare/sub/pl.py", "here/.git",
    ):  # fmt: skip
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("file", "project"),
    [
        ("one/sub/pl.py", "one"),
        ("one/inner/pl.py", "one/inner"),
        ("bare/sub/pl.py", "bare/sub"),
        ("one/.venv/lib/site-packages/acme/pl.py", "here"),
        ("target/acme/deep/pl.py", "here"),
        ("one/sub/gone.py", "here"),
        ("<ipython-input-3-0a1b>", "here"),
        ("<string>", "here"),
        ("<stdin>", "here"),
        (None, "here"),
    ],
)
def test_what_a_program_declares_belongs_to_the_project_of_the_declaring_file(
    folders: Path, file: str | None, project: str
) -> None:
    """Else one step is two, because a program was started in another folder."""
    named = file if file is None or file.startswith("<") else str(folders / file)
    assert project_of(named, {}, str(folders / "here")) == str(folders / project)
    given = {"MARIN_BUILD_PROJECT": "../one"}
    assert project_of(named, given, str(folders / "here")) == str(folders / "one")


def test_a_cell_that_a_debugger_keeps_in_a_file_belongs_to_the_current_folder(
    folders: Path,
) -> None:
    """Else a notebook's steps lie in the folder of temporary files while it is debugged."""
    cell = folders / "ipykernel_42" / "1234.py"
    cell.parent.mkdir()
    cell.touch()
    assert project_of(str(cell), {}, str(folders / "here")) == str(folders / "here")


def test_a_file_that_is_named_from_the_current_folder_is_found(folders: Path) -> None:
    for cwd, file in (("one", "sub/pl.py"), ("one/inner", "pl.py"), ("bare/sub", "pl.py")):
        assert project_of(file, {}, str(folders / cwd)) == str(folders / cwd)


def test_installed_packages_are_known_by_the_folder_they_lie_in(folders: Path) -> None:
    packages = folders / "one/.venv/lib/site-packages"
    assert installed_in(str(packages / "acme/pl.py")) == str(packages)
    assert installed_in(str(folders / "target/acme/deep/pl.py")) == str(folders / "target")
    assert installed_in(str(folders / "one/sub/pl.py")) is None


def test_a_workspace_in_force_goes_before_the_declaring_file(
    folders: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(folders / "one/sub/pl.py")
    assert current_workspace(file) == workspace
    use_workspace(None)  # the fixture puts back what was in force
    outputs = f"{folders}/one/.marin-build/outputs"
    assert current_workspace(file) == Workspace(f"{folders}/one", outputs)
    assert common_prefix() is None
    monkeypatch.setenv("MARIN_PREFIX", "gs://bucket/a/")
    assert current_workspace(file).prefix == common_prefix() == "gs://bucket/a"


@pytest.mark.parametrize("file", ["marin-build.toml", "pyproject.toml"])
@pytest.mark.parametrize("rest", [b"= 1", b"x = '\xe4'", b"x = 1\nx = 2"])
def test_a_configuration_that_is_no_toml_is_named(tmp_path: Path, file: str, rest: bytes) -> None:
    """Else a file in another encoding than UTF-8 ends in a traceback that names no file."""
    (tmp_path / file).write_bytes(b"[tool.marin-build]\n" + rest)
    with pytest.raises(UsageError) as caught:
        read_configuration(str(tmp_path))
    assert str(tmp_path / file) in caught.value.what
