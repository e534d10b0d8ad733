"""The body of a step: whatever it does, its end is known and has a reason."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec, source
from marin_build.errors import SpecificationError
from marin_build.run_step.body import run_body
from marin_build.run_step.resource_usage import OWN, Meter
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from marin_build.pipeline.targets import Targets
    from marin_build.run_step.body import Done


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "out"))):
        yield tmp_path


Run = "Callable[..., tuple[Done, Path]]"


@pytest.fixture
def run(make: Callable[..., Targets], tmp_path: Path) -> Callable[..., tuple[Done, Path]]:
    """Return what runs a function as a step, in a folder of its own."""

    def run(fn: Callable[[Path], object], **options: Any) -> tuple[Done, Path]:
        step = StepSpec(name="s", fn=lambda output: fn(Path(output)), output_path_prefix="out",
                        **options)  # fmt: skip
        (target,) = make(step).all
        output = Path(target.output_path)
        output.mkdir(parents=True)
        return run_body(target, Meter.begin(OWN, is_fresh=True)), output

    return run


def _write(*names: str) -> Callable[[Path], None]:
    def write(output: Path) -> None:
        for name in names:
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            (output / name).write_text("new")

    return write


def test_what_a_step_returns_is_its_artifact(run: Any) -> None:
    def build(output: Path) -> dict[str, int]:
        _write("b", "a/c")(output)
        return {"n": 1}

    done, output = run(build)
    assert (done.exit_code, done.message, done.artifact) == (0, "", {"n": 1})
    assert sorted(path.name for path in output.iterdir()) == ["a", "b"]
    assert done.peak_memory > 1 << 20
    assert done.cpu_seconds >= 0


def test_what_nothing_builds_fails_with_a_reason(make: Callable[..., Targets]) -> None:
    (target,) = make(StepSpec(name="s", fn=None, output_path_prefix="out")).all
    assert "nothing builds `s`" in run_body(target, Meter.begin(OWN)).message


def test_a_step_sees_its_environment(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEED", "1")
    seen: list[str | None] = []
    run(lambda output: seen.append(os.environ["SEED"]), env_vars={"SEED": "2"})
    assert seen == ["2"]


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


class _MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
        (asyncio.CancelledError("late"), "CancelledError: late"),
        (BaseExceptionGroup("many", [GeneratorExit()]), "BaseExceptionGroup: many (1 sub-exc"),
        (_MuteError(), "_MuteError, whose text cannot be had"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_is_raised_is_told_with_its_traceback(
    run: Any, capsys: pytest.CaptureFixture[str], error: BaseException, message: str
) -> None:
    """Else a step of asyncio fails with one word and no place."""

    def build(output: Path) -> None:
        raise error

    done, _ = run(build)
    assert done.exit_code == 1
    assert done.message.startswith(message)
    assert "in build" in capsys.readouterr().err


def test_an_interrupt_of_who_runs_it_is_not_the_failure_of_a_step(
    make: Callable[..., Targets],
) -> None:
    """Else Ctrl-C in `marin-build run` is recorded as a failure of the step."""

    def build(output: str) -> None:
        raise KeyboardInterrupt

    (target,) = make(StepSpec(name="s", fn=build, output_path_prefix="out")).all
    with pytest.raises(KeyboardInterrupt):
        run_body(target, Meter.begin(OWN), is_interruptible=True)


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_step_that_took_the_streams_away_still_says_why_it_failed(
    run: Any, monkeypatch: pytest.MonkeyPatch, is_closed: bool
) -> None:
    """Else its failure is called `bad file descriptor`, and the real one is nowhere."""

    def build(output: Path) -> None:
        stream = io.StringIO()
        stream.close()
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, stream if is_closed else None)
        raise ValueError("bad data")

    done, _ = run(build)
    assert (done.exit_code, done.message) == (1, "ValueError: bad data")


class Torn:
    """Its members cannot be had."""

    def __repr__(self) -> str:
        raise ValueError("no")

    @property
    def __pydantic_fields__(self) -> Any:
        raise ValueError("no")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": object()}, "what the step returned cannot be saved: `a: object`; return"),
        (Torn(), "what the step returned cannot be saved: "),
    ],
)
def test_a_returned_value_that_cannot_be_saved_ends_work_that_is_finished(
    run: Any, capsys: pytest.CaptureFixture[str], value: object, words: str
) -> None:
    """Else the next attempt clears what hours of work wrote."""
    done, _ = run(lambda output: value)
    said = capsys.readouterr().err
    assert (done.exit_code, done.is_finished) == (1, True)
    assert words in done.message
    assert words in said


def test_the_file_of_an_input_that_changed_is_named(run: Any, tmp_path: Path) -> None:
    """Of a folder of 300 files, the user has to know which one to leave alone."""
    for name in ("a", "b", "c"):
        (tmp_path / "data" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_text("one")

    def build(output: Path) -> None:
        _write("a")(output)
        (tmp_path / "data" / "b").write_text("two")
        (tmp_path / "data" / "d").write_text("new")

    declared = source(str(tmp_path / "data"), name="data")
    done, _ = run(build, inputs={"data": declared})
    assert done.message == "input changed while the step ran: `data` (`b` and 1 more)"


@pytest.mark.parametrize("when", ["before", "while"])
def test_an_input_that_changes_under_a_step_is_not_committed(
    run: Any, tmp_path: Path, when: str
) -> None:
    file = tmp_path / "data.txt"
    file.write_text("one")
    declared = source(str(file), name="data")
    from marin_build.pipeline.source_digests import digest_of

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


def test_an_error_of_ours_keeps_its_way_out(run: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """Else a step that meets a bucket for the first time fails without a word on what to do."""

    def refuse(output: Path) -> None:
        raise SpecificationError("a URL", hint="annotate it as str")

    done, _ = run(refuse)
    assert done.message == "SpecificationError: a URL"
    assert "hint: annotate it as str\n" in "".join(capfd.readouterr())
