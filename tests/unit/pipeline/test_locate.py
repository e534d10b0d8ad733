"""What `-f` names: one pipeline must not become two because it was spelled in two ways."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import UsageError
from marin_build.pipeline.locate import PipelineModule, files_that_may_hold, locate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a package in `src`, one beside it, and single files."""
    for path in (
        "pyproject.toml", "pipeline.py", "Recipe", "src/words/__init__.py", "src/words/daily.py",
        "src/words/deep/__init__.py", "src/words/deep/more.py", "src/bare/jobs/nightly.py",
        "src/my-jobs/odd.py", "flat/__init__.py", "flat/weekly.py", "scripts/one.py",
    ):  # fmt: skip
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path


def found(project: Path, named: str) -> PipelineModule:
    return locate(named, [str(project)], str(project))


@pytest.mark.parametrize(
    ("path", "name", "package", "root"),
    [
        ("pipeline.py", "pipeline", "", None),
        ("Recipe", "Recipe", "", None),
        ("scripts/one.py", "one", "", None),
        ("src/my-jobs/odd.py", "odd", "", None),
        ("src/words/daily.py", "words.daily", "words", "src"),
        ("src/words/__init__.py", "words", "words", "src"),
        ("src/words/deep/more.py", "words.deep.more", "words.deep", "src"),
        ("src/bare/jobs/nightly.py", "bare.jobs.nightly", "bare.jobs", "src"),
        ("flat/weekly.py", "flat.weekly", "flat", "."),
    ],
)
def test_a_file_inside_a_package_is_its_module(
    project: Path, path: str, name: str, package: str, root: str | None
) -> None:
    """Else relative imports fail in a pipeline that is named by its path."""
    module = found(project, path)
    assert module.file == str(project / path)
    assert (module.name, module.package) == (name, package)
    assert module.root == (None if root is None else str(project / root))
    assert module.named_from(str(project)) == path


@pytest.mark.parametrize(
    ("named", "path"),
    [
        ("words.daily", "src/words/daily.py"),
        ("words", "src/words/__init__.py"),
        ("bare.jobs.nightly", "src/bare/jobs/nightly.py"),
        ("flat.weekly", "flat/weekly.py"),
        ("pipeline", "pipeline.py"),
    ],
)
def test_a_module_and_its_file_are_one_pipeline(project: Path, named: str, path: str) -> None:
    """Else the same steps have other captured classes, and so other code, when named otherwise."""
    by_name, by_path = found(project, named), found(project, path)
    assert (by_name.file, by_name.name, by_name.package, by_name.root) == (
        (by_path.file, by_path.name, by_path.package, by_path.root)
    )
    assert by_name.named_from("/anywhere") == named
    assert path in files_that_may_hold(named)


@pytest.mark.parametrize("place", ["pipeline.py", "Recipe", "words.daily", "src/words/daily.py"])
def test_a_function_may_be_named_with_it(project: Path, place: str) -> None:
    module = found(project, f"{place}:nightly")
    assert (module.wanted, module.file) == ("nightly", found(project, place).file)
    assert module.named_from(str(project)) == f"{place}:nightly"
    assert module.named_by_path == f"{module.file}:nightly"


def test_a_file_whose_name_has_a_colon_is_a_file(project: Path) -> None:
    (project / "a:b").touch()
    assert found(project, "a:b").wanted is None


def test_a_module_is_not_imported_to_find_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its steps are declared before the prefix is fixed."""
    (project / "src/words/__init__.py").write_text("raise RuntimeError\n")
    monkeypatch.syspath_prepend(str(project / "src"))
    elsewhere = project / "scripts"
    assert locate("words.daily", [str(elsewhere)], str(elsewhere)).file == str(
        project / "src/words/daily.py"
    )
    assert "words" not in sys.modules


def test_two_modules_of_one_name_are_refused(project: Path) -> None:
    """Else which of them runs depends on the order of the module path."""
    (project / "words").mkdir()
    (project / "words/daily.py").touch()
    with pytest.raises(UsageError, match="two modules of the project are called") as caught:
        found(project, "words.daily")
    assert dict(caught.value.facts)["files"] == "src/words/daily.py\nwords/daily.py"


def test_what_is_nowhere_is_told_by_its_name(project: Path) -> None:
    assert not found(project, "words.never").is_there
    assert found(project, "never.py").file == str(project / "never.py")


def test_an_installed_module_has_no_path(tmp_path: Path) -> None:
    """Else a plan names the folder of one machine's environment."""
    file = tmp_path / "lib/site-packages/words/daily.py"
    file.parent.mkdir(parents=True)
    file.touch()
    module = locate(str(file), [str(tmp_path)], str(tmp_path))
    assert (module.name, module.named_from(str(tmp_path))) == ("words.daily", "words.daily")
