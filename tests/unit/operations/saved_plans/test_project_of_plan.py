"""Which pipeline a saved plan is applied with: the one it was made from, and no other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoppedError, UsageError
from marin_build.operations.saved_plans.project_of_plan import find_project_of_plan, pipeline_digest
from marin_build.plan.document import PlanDocument

if TYPE_CHECKING:
    from collections.abc import Mapping

ORIGINAL, EDITED, OTHER = "targets = []\n", "targets = []  # edited\n", "raise SystemExit\n"


def _write(folder: Path, text: str, name: str = "pipeline.py") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def _plan(tmp_path: Path, pipeline: str = "pipeline.py") -> PlanDocument:
    digest = pipeline_digest(str(_write(tmp_path / "original", ORIGINAL)))
    return PlanDocument(
        plan_id="p-1",
        pipeline=pipeline,
        pipeline_digest=digest,
        parameters={},
        prefix="out",
        engine="local",
        requested=(),
        summary={},
        decisions=(),
    )


def _found(
    plan: PlanDocument, folder: Path, cwd: Path, environ: Mapping[str, str] | None = None
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    cwd.mkdir(parents=True, exist_ok=True)
    return Path(find_project_of_plan(str(folder), plan, environ or {}, str(cwd)))


def test_a_pipeline_on_the_way_up_from_the_plan_is_passed_over(tmp_path: Path) -> None:
    """Else a file dropped beside plans is what `apply` of a reviewed plan runs."""
    project = tmp_path / "project"
    _write(project, ORIGINAL)
    _write(project / "plans", OTHER)
    for cwd in (project, project / "plans", tmp_path):
        assert _found(_plan(tmp_path), project / "plans/a", cwd) == project


def test_a_pipeline_where_the_user_stands_is_passed_over(tmp_path: Path) -> None:
    """Else a plan for one project builds another one's targets."""
    project, other = tmp_path / "project", tmp_path / "other"
    _write(project, ORIGINAL)
    _write(other, OTHER)
    assert _found(_plan(tmp_path), project / "plans/a", other) == project
    assert _found(_plan(tmp_path), other / "plans/a", project) == project


@pytest.mark.parametrize("text", [OTHER, EDITED, ORIGINAL.replace("\n", "\r\n")], ids=ascii)
def test_without_its_pipeline_no_other_is_loaded(tmp_path: Path, text: str) -> None:
    """Loading a pipeline runs it: neither that around the plan nor that of the user may be."""
    _write(tmp_path / "drop", text)
    _write(tmp_path / "other", text)
    for folder, cwd in (("elsewhere", "other"), ("drop/plans/a", "nowhere"), ("drop/a", "other")):
        with pytest.raises(StoppedError) as stopped:
            _found(_plan(tmp_path), tmp_path / folder, tmp_path / cwd)
        assert stopped.value.exit_code == 5
        assert "pipeline.py" in stopped.value.render()


def test_an_edited_pipeline_counts_in_the_project_of_both(tmp_path: Path) -> None:
    """Else a comment costs a new review; whether the plan still fits, its targets say."""
    project = tmp_path / "project"
    _write(project, EDITED)
    _write(project / "plans", OTHER)
    assert _found(_plan(tmp_path), project / "plans/a", project) == project
    (project / "src").mkdir()
    assert _found(_plan(tmp_path), project / "plans/a", project / "src") == project


def test_a_linked_folder_is_where_it_lies(tmp_path: Path) -> None:
    """Else a link into a shared folder makes its pipeline the user's own."""
    shared, project = tmp_path / "shared", tmp_path / "project"
    _write(project, EDITED)
    (shared / "a").mkdir(parents=True)
    (project / "plans").symlink_to(shared)
    with pytest.raises(StoppedError):
        _found(_plan(tmp_path), project / "plans/a", project)


def test_a_named_project_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    """Else a script goes on with one project and `run-step` with another."""
    project, other = tmp_path / "project", tmp_path / "other"
    _write(project, ORIGINAL)
    _write(other, OTHER)
    named = {"MARIN_BUILD_PROJECT": str(project)}
    assert _found(_plan(tmp_path), tmp_path / "a", other, named) == project
    with pytest.raises(StoppedError):
        _found(_plan(tmp_path), project / "a", project, {"MARIN_BUILD_PROJECT": str(other)})
    gone = {"MARIN_BUILD_PROJECT": str(tmp_path / "gone")}
    assert _found(_plan(tmp_path), project / "a", tmp_path, gone) == project


def test_a_plan_that_does_not_say_its_pipeline_needs_its_project(tmp_path: Path) -> None:
    """Plans of older versions have no digest; neither has one from which it was taken out."""
    project = tmp_path / "project"
    _write(project, ORIGINAL)
    plan = _plan(tmp_path).model_copy(update={"pipeline_digest": ""})
    assert _found(plan, project / "a", project) == project
    with pytest.raises(StoppedError):
        _found(plan, project / "a", tmp_path)


def test_a_module_is_found_by_its_file(tmp_path: Path) -> None:
    project = tmp_path / "project"
    _write(project, ORIGINAL, "src/experiments/main.py")
    _write(project / "plans", OTHER, "src/experiments/main.py")
    plan = _plan(tmp_path, "experiments.main:targets")
    assert _found(plan, project / "plans/a", tmp_path) == project


def test_no_pipeline_of_that_name_is_another_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot find the project"):
        _found(_plan(tmp_path, "gone.py"), tmp_path / "a", tmp_path)
