"""A plan directory is replaced whole, and nothing else in it is touched."""

from __future__ import annotations

import builtins
import errno
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.errors import MarinBuildError, StoppedError, StoreError, UsageError
from marin_build.operations.saved_plans.plan_directory import read_plan_directory
from marin_build.operations.saved_plans.replace_plan import write_plan_directory
from marin_build.plan.document import PlanDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


class Killed(BaseException):
    """Stands for the end of the process: nothing is tidied up after it."""


def _files(number: int, steps: tuple[str, ...]) -> dict[str, str]:
    files = {f"steps/{step}/run.sh": f"echo {step} {number}\n" for step in steps}
    files |= {"run.sh": f"run {number}\n", "environment.sh": "x=1\n"}
    plan = PlanDocument(
        plan_id=f"p-{number}", pipeline="pipeline.py", parameters={}, prefix="out", engine="local",
        requested=(), summary={}, decisions=(),
    )  # fmt: skip
    return {**files, "plan.json": plan.sealed_text(files)}


OLD = _files(1, ("a", "b", "nested/c"))
NEW = _files(2, ("b", "d", "nested/e"))


def _tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A folder with a plan, and a file of a user."""
    folder = tmp_path / "saved"
    write_plan_directory(str(folder), OLD)
    (folder / "NOTES").write_text("mine")
    return folder


def test_a_plan_is_replaced_and_what_else_is_there_stays(plan: Path) -> None:
    """Else the steps of an earlier plan are left over, or a user's notes are gone."""
    (plan / "steps" / "a" / "mine.log").write_text("log")
    write_plan_directory(str(plan), NEW)
    assert _tree(plan) == {**NEW, "NOTES": "mine", "steps/a/mine.log": "log"}
    assert not (plan / "steps" / "nested" / "c").exists()
    assert os.access(plan / "run.sh", os.X_OK)
    assert not os.access(plan / "environment.sh", os.X_OK)


def test_files_of_a_user_in_the_folder_of_a_new_plan_are_kept(plan: Path) -> None:
    """Else a folder that is called like one of ours, and that we did not write, is deleted."""
    (plan / ".marin-build-next" / "empty").mkdir(parents=True)
    (plan / ".marin-build-next" / "mine").write_text("mine")
    before = _tree(plan)
    with pytest.raises(StoreError, match="not empty"):
        write_plan_directory(str(plan), NEW)
    assert _tree(plan) == before


def _break_at(
    number: int, monkeypatch: pytest.MonkeyPatch, error: Callable[[], BaseException], names: str
) -> list[str]:
    """Have the so-many-th change to the disk fail; return the changes there were."""
    changes: list[str] = []

    def breaking(name: str, real: Any) -> Any:
        def change(*args: Any, **rest: Any) -> Any:
            if name == "open" and not (len(args) > 1 and "w" in str(args[1])):
                return real(*args, **rest)
            changes.append(name)
            if len(changes) >= number:
                raise error()
            return real(*args, **rest)

        return change

    for name in names.split():
        monkeypatch.setattr(os, name, breaking(name, getattr(os, name)))
    monkeypatch.setattr(builtins, "open", breaking("open", open))
    return changes


@pytest.mark.parametrize("number", range(1, 28))
def test_a_process_may_die_at_any_moment(
    plan: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Else the old plan is gone, and plan and apply refuse the folder from then on."""
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        changes = _break_at(number, patch, Killed, "rename unlink rmdir mkdir")
        try:
            write_plan_directory(str(plan), NEW)
        except Killed:
            assert len(changes) == number
    found = read_plan_directory(str(plan))
    assert found.plan_id in ("p-1", "p-2")
    there = {p: t for p, t in _tree(plan).items() if not p.startswith(".marin-build-unf")}
    assert there == {**(OLD if found.plan_id == "p-1" else NEW), "NOTES": "mine"}
    write_plan_directory(str(plan), NEW)
    assert _tree(plan) == {**NEW, "NOTES": "mine"}
    assert not list(plan.glob(".marin*"))


@pytest.mark.parametrize("number", range(1, 14))
def test_a_full_disk_keeps_the_old_plan(
    plan: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Else there is neither the old plan nor a new one."""
    before = _tree(plan)

    def full() -> OSError:
        return OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        _break_at(number, patch, full, "mkdir")
        with pytest.raises(StoreError, match="No space left on device"):
            write_plan_directory(str(plan), _files(3, tuple("bdefghijk")))
    assert read_plan_directory(str(plan)).plan_id == "p-1"
    assert _tree(plan) == before


def test_a_new_folder_is_not_left_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what failed looks like something."""
    with monkeypatch.context() as patch:
        _break_at(3, patch, lambda: OSError(errno.ENOSPC, "No space left on device"), "mkdir")
        with pytest.raises(StoreError):
            write_plan_directory(str(tmp_path / "fresh"), NEW)
    assert list(tmp_path.iterdir()) == []


def _printed(files: Mapping[str, str]) -> str:
    return PlanDocument.model_validate_json(files["plan.json"]).shown_text()


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", "[" * 100_000, _printed(OLD),
     OLD["plan.json"].replace('"p-1"', '"p-3"')],
    ids=range(7),
)  # fmt: skip
def test_a_folder_with_some_plan_json_is_not_ours(tmp_path: Path, text: str) -> None:
    """Else `plan --json > plan.json; plan -o .` removes the `steps` package of a project."""
    mine = {"steps/__init__.py": "", "steps/train.py": "x", "run.sh": "mine"}
    for path, content in mine.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(content)
    (tmp_path / "plan.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match="is not that of a plan directory"):
        write_plan_directory(str(tmp_path), NEW)
    assert {p: t for p, t in _tree(tmp_path).items() if p in mine} == mine


def test_a_plan_json_that_lists_what_lies_elsewhere_is_not_ours(tmp_path: Path) -> None:
    """Else a plan of a stranger deletes files of a user."""
    outside = tmp_path / "precious"
    outside.write_text("x=1\n")
    for path in ("../precious", str(outside), "steps/../../precious"):
        plan = PlanDocument.model_validate_json(OLD["plan.json"])
        folder = tmp_path / "theirs"
        folder.mkdir(exist_ok=True)
        (folder / "plan.json").write_text(plan.sealed_text({path: "x=1\n"}))
        with pytest.raises(UsageError, match="is not that of a plan directory"):
            write_plan_directory(str(folder), NEW)
        assert outside.read_text() == "x=1\n"


def test_what_was_edited_is_not_overwritten(plan: Path) -> None:
    """Else the work of a person is gone without a word."""
    (plan / "run.sh").write_text("mine")
    with pytest.raises(UsageError, match="was edited after it was made"):
        write_plan_directory(str(plan), NEW)
    assert (plan / "run.sh").read_text() == "mine"
    with pytest.raises(StoppedError):
        read_plan_directory(str(plan))


@pytest.mark.parametrize("there", ["file", "folder", "link to a folder", "file for a folder"])
def test_what_is_in_the_way_is_not_overwritten(plan: Path, tmp_path: Path, there: str) -> None:
    """Else a new plan writes over a file of a user, or through a link into another folder."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    match there:
        case "file":
            (plan / "steps" / "d").mkdir()
            (plan / "steps" / "d" / "run.sh").write_text("mine")
        case "folder":
            (plan / "steps" / "d" / "run.sh").mkdir(parents=True)
        case "link to a folder":
            (plan / "steps" / "d").symlink_to(elsewhere)
        case _:
            (plan / "steps" / "d").write_text("mine")
    with pytest.raises(UsageError, match="are in the way"):
        write_plan_directory(str(plan), NEW)
    assert read_plan_directory(str(plan)).plan_id == "p-1"
    assert list(elsewhere.iterdir()) == []


def test_a_link_to_files_outside_is_not_followed_when_a_plan_is_deleted(
    plan: Path, tmp_path: Path
) -> None:
    """Else `ln -s` beside a plan has files elsewhere deleted that happen to be equal."""
    shutil.move(plan / "steps" / "a", tmp_path / "kept")
    (plan / "steps" / "a").symlink_to(tmp_path / "kept")
    write_plan_directory(str(plan), NEW)
    assert (tmp_path / "kept" / "run.sh").read_text() == OLD["steps/a/run.sh"]


def test_a_page_may_be_missing_and_a_file_is_no_folder(plan: Path, tmp_path: Path) -> None:
    """Else a plan whose large page was deleted could never be made again."""
    (plan / "steps" / "b" / "run.sh").unlink()
    write_plan_directory(str(plan), NEW)
    assert read_plan_directory(str(plan)).plan_id == "p-2"
    (tmp_path / "file").write_text("")
    with pytest.raises(MarinBuildError, match="is not a folder"):
        write_plan_directory(str(tmp_path / "file"), NEW)


SIGNATURE = "-----BEGIN SSH SIGNATURE-----\n{}\n"


@pytest.mark.parametrize("new", [SIGNATURE.format("new"), None], ids=["signed", "unsigned"])
def test_a_signature_goes_with_its_plan_whenever_a_process_dies(
    tmp_path: Path, new: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a new plan lies beside the signature of the old one, or without its own."""
    files = {**NEW, **({"plan.json.sig": new} if new else {})}
    for moment in range(30):
        folder = tmp_path / f"{moment}"
        write_plan_directory(str(folder), {**OLD, "plan.json.sig": SIGNATURE.format("old")})
        with monkeypatch.context() as patch:
            patch.setattr(os, "rename", _killed_at(moment, os.rename))
            try:
                write_plan_directory(str(folder), files)
            except Killed:
                has_ended = False
            else:
                has_ended = True
        plan = read_plan_directory(str(folder))
        signature = folder / "plan.json.sig"
        found = signature.read_text() if signature.exists() else None
        assert found == (SIGNATURE.format("old") if plan.plan_id == "p-1" else new)
        if has_ended:
            assert plan.plan_id == "p-2"
            return
    pytest.fail("it never ended")


def _killed_at(moment: int, rename: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    calls = iter(range(moment + 1))

    def renamed(old: Any, new: Any) -> None:
        if next(calls) == moment:
            raise Killed
        rename(old, new)

    return renamed


def test_a_file_of_the_user_in_the_place_of_a_signature_stays(plan: Path) -> None:
    """Else notes about the review are gone with the next plan."""
    (plan / "plan.json.sig").write_text("signed by hand, on paper")
    write_plan_directory(str(plan), NEW)
    assert (plan / "plan.json.sig").read_text() == "signed by hand, on paper"
    with pytest.raises(UsageError, match="in the way"):
        write_plan_directory(str(plan), {**OLD, "plan.json.sig": SIGNATURE.format("new")})
