"""What counts as having built a step: only what is there, whole and declared."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec, source
from marin_build.run_step.body import clear_leftovers, manifest_of, missing_output, run_body
from marin_build.workspace import Workspace, in_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from marin_build.fingerprint import Targets
    from marin_build.run_step.body import Done


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "out"))):
        yield tmp_path


Run = "Callable[..., tuple[Done, Path]]"


@pytest.fixture
def run(make: Callable[..., Targets], tmp_path: Path) -> Callable[..., tuple[Done, Path]]:
    """Return what runs a function as a step, in a folder of its own."""

    def run(
        fn: Callable[[Path], object], *, attempt: int = 1, forced: bool = False,
        leftovers: tuple[str, ...] = (), **options: Any,
    ) -> tuple[Done, Path]:  # fmt: skip
        given = {"override_output_path": str(tmp_path / "there")} if leftovers == ("mine",) else {}
        step = StepSpec(name="s", fn=lambda output: fn(Path(output)), output_path_prefix="out",
                        **{**options, **given})  # fmt: skip
        (target,) = make(step).all
        output = Path(target.output_path)
        (output / ".logs").mkdir(parents=True)
        for name in leftovers:
            (output / name).mkdir() if name.endswith("/") else (output / name).write_text("old")
        return run_body(target, attempt, forced=forced), output

    return run


def _write(*names: str) -> Callable[[Path], None]:
    def write(output: Path) -> None:
        for name in names:
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            (output / name).write_text("new")

    return write


def test_files_and_an_artifact_are_what_a_step_leaves(run: Any) -> None:
    def build(output: Path) -> dict[str, int]:
        _write("b", "a/c")(output)
        return {"n": 1}

    done, _ = run(build)
    assert (done.exit_code, done.message) == (0, "")
    assert done.artifact == {"n": 1}
    assert done.manifest == (("a/c", 3), ("b", 3))


@pytest.mark.parametrize(
    ("write", "outputs", "missing"),
    [
        (["model"], ["model"], None),
        (["model/w"], ["model"], None),
        ([], [], None),
        (["a"], None, None),
        ([], None, "neither a file nor an artifact"),
        (["a"], ["b"], "`b`"),
        (["a"], ["a", "b", "c"], "`b`, `c`"),
        ([], ["a", "b", "c", "d", "e", "f", "g"], "`e` and 2 more"),
    ],
)
def test_a_step_that_does_not_leave_what_it_declares_has_failed(
    run: Any, write: list[str], outputs: list[str] | None, missing: str | None
) -> None:
    done, _ = run(_write(*write), outputs=outputs)
    assert (done.exit_code == 0) == (missing is None)
    assert (missing or "") in done.message


def test_an_empty_file_or_folder_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    for name in ("empty", "folder"):
        assert missing_output([name], str(tmp_path), [], None) is not None


@pytest.mark.parametrize(
    ("code", "exit_code"), [(3, 3), ("no data", 1), (-1, 255), (True, 1), (137, 137)]
)
def test_an_exit_of_the_step_is_its_failure(run: Any, code: object, exit_code: int) -> None:
    done, _ = run(lambda output: sys.exit(code))  # type: ignore[arg-type]
    assert done.exit_code == exit_code


@pytest.mark.parametrize("code", [0, None, 256])
def test_an_early_exit_without_an_error_is_not_success(run: Any, code: int | None) -> None:
    """A library that calls `sys.exit(0)` must not make an empty output count as built."""
    done, _ = run(lambda output: sys.exit(code))
    assert done.exit_code or done.message


def test_an_exception_is_told_with_the_authors_part_of_the_traceback(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(output: Path) -> None:
        raise ValueError("bad data")

    done, _ = run(build)
    assert (done.exit_code, done.message) == (1, "ValueError: bad data")
    shown = capsys.readouterr().err
    assert "in build" in shown
    assert "marin_build/run_step" not in shown


def test_a_returned_value_that_cannot_be_saved_is_a_failure(run: Any) -> None:
    done, _ = run(lambda output: object())
    assert done.exit_code == 1
    assert "cannot be saved as JSON" in done.message


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"attempt": 1}, []),
        ({"attempt": 2}, []),
        ({"attempt": 1, "forced": True}, []),
        ({"attempt": 2, "resumable": True}, ["a.tmp", "old", "sub"]),
    ],
)
def test_a_new_attempt_finds_an_empty_folder_unless_it_resumes(
    run: Any, given: dict[str, Any], kept: list[str]
) -> None:
    found: list[str] = []
    run(lambda output: found.extend(sorted(p.name for p in output.iterdir())),
        leftovers=("old", "a.tmp", "sub/", ".executor_status"), **given)  # fmt: skip
    assert found == sorted([".executor_status", ".logs", *kept])


def test_what_stands_at_an_override_is_never_deleted(run: Any) -> None:
    _, output = run(_write("new"), attempt=2, forced=True, leftovers=("mine",))
    assert (output / "mine").read_text() == "old"


def test_links_are_removed_and_what_they_point_to_is_not(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").touch()
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "link").symlink_to(tmp_path / "data")
    clear_leftovers(str(tmp_path / "output"))
    assert list((tmp_path / "output").iterdir()) == []
    assert (tmp_path / "data" / "a").exists()


def test_our_own_files_are_not_in_the_manifest(tmp_path: Path) -> None:
    _write(".executor_status", ".logs/attempt-0001.log", "a", "b/.hidden")(tmp_path)
    assert manifest_of(str(tmp_path)) == (("a", 3), ("b/.hidden", 3))


@pytest.mark.parametrize("when", ["before", "while"])
def test_an_input_that_changes_under_a_step_is_not_committed(
    run: Any, tmp_path: Path, when: str
) -> None:
    file = tmp_path / "data.txt"
    file.write_text("one")
    declared = source(str(file), name="data")
    from marin_build.digests import digest_of

    digest_of(declared)
    if when == "before":
        file.write_text("two")

    def build(output: Path) -> None:
        _write("a")(output)
        file.write_text("three")

    done, _ = run(build, inputs={"data": declared})
    assert done.exit_code == 1
    assert done.message.startswith(f"input changed {when} the step")
    assert "`data`" in done.message
