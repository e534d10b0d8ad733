"""What a step reads is what was built, before it runs and after it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec
from marin_build.errors import StoreError
from marin_build.plan.outcomes import Stopped
from marin_build.protocol.tombstone import Tombstone
from marin_build.run_step.input_files import Before, Inputs
from marin_build.store.base import File
from marin_build.store.local import LocalStore
from marin_build.workspace.workspace import Workspace, current_workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from marin_build.pipeline.targets import Targets
    from tests.unit.conftest import MemoryStore

RAW, TRAIN = 0, 1
FILES = (File("a", 3), File("d/b", 2))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "out"))):
        yield tmp_path


def _targets(make: Callable[..., Targets], prefix: str, **options: Any) -> Targets:
    raw = StepSpec(name="raw", fn=print, output_path_prefix=prefix, **options)
    return make(StepSpec(name="train", fn=print, deps=[raw], output_path_prefix=prefix))


@pytest.fixture(params=["shared disk", "own disk"])
def local(
    request: pytest.FixtureRequest, make: Callable[..., Targets], folder: Path
) -> tuple[Path, Inputs]:
    """Return an output with two files, and what compares it."""
    targets = _targets(make, str(folder / "out"))
    targets = replace(targets, workspace=current_workspace())
    output = Path(targets.all[RAW].output_path)
    (output / "d").mkdir(parents=True)
    (output / "a").write_text("abc")
    (output / "d" / "b").write_text("de")
    (output / ".executor_status").write_text("SUCCESS")
    is_own = request.param == "own disk"
    return output, Inputs(LocalStore(), targets, {RAW: FILES}, is_own_disk=is_own)


def _nothing(_output: Path) -> None:
    """Leave all as it is."""


def _write(name: str, text: str) -> Callable[[Path], object]:
    return lambda output: (output / name).write_text(text)


def _other_output(output: Path) -> None:
    (output / "x").mkdir()
    (output / "x" / ".executor_status").write_text("RUNNING")
    (output / "x" / "data").write_text("")


CHANGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda output: (output / "a").unlink(), "`a` is missing"),
    (lambda output: os.truncate(output / "a", 0), "`a` has 0 B, not 3 B"),
    (_write("d/b", "def"), "`d/b` has 3 B, not 2 B"),
    (_write("d/c", ""), "`d/c` is new"),
    (lambda output: (output / "d/b").rename(output / "d/c"), "`d/b` is missing, `d/c` is new"),
    (_write(".changed", "x"), "another step has written into it"),
]
HARMLESS: list[Callable[[Path], object]] = [_nothing, _write(".cache", "x"), _other_output]


@pytest.mark.parametrize(("change", "said"), CHANGES)
def test_nothing_is_built_from_what_is_not_as_it_was_built(
    local: tuple[Path, Inputs], change: Callable[[Path], object], said: str
) -> None:
    """Else a model is trained on 0 bytes, and its record says otherwise."""
    output, inputs = local
    change(output)
    stopped = inputs.look(TRAIN)
    assert isinstance(stopped, Stopped)
    assert (
        stopped.message == f"`{output.name}`, which it needs, is not as its build left it: {said}"
    )
    assert "marin-build plan" in stopped.hint


@pytest.mark.parametrize("change", HARMLESS)
def test_what_does_not_belong_to_the_data_may_differ(
    local: tuple[Path, Inputs], change: Callable[[Path], object]
) -> None:
    output, inputs = local
    change(output)
    before = inputs.look(TRAIN)
    assert isinstance(before, Before)
    _write(".other", "x")(output)
    assert inputs.changed(before, "train_1") == ""


@pytest.mark.parametrize(
    ("change", "said", "is_marked"),
    [
        (_write("a", "abc"), "`a` was written", True),  # sorted in place, say
        (lambda output: os.utime(output / "a", (1, 1)), "`a` was written", True),
        (_write("a", "abcd"), "`a` was written", False),
        (lambda output: (output / "a").unlink(), "`a` is gone", False),
        (_write("d/.cache", ""), "`d/.cache` is new", False),
    ],
)
def test_a_step_that_changes_what_it_reads_is_found_out(
    local: tuple[Path, Inputs], change: Callable[[Path], object], said: str, is_marked: bool
) -> None:
    """Else later steps are built from changed data, in this run or, where sizes are equal, ever."""
    output, inputs = local
    os.utime(output / "a", (9, 9))
    before = inputs.look(TRAIN)
    assert isinstance(before, Before)
    change(output)
    assert inputs.changed(before, "train_1") == f"in `{output.name}`, which it reads, {said}"
    later = inputs.look(TRAIN)
    assert isinstance(later, Stopped)
    assert said in later.message
    assert said in inputs.hint(TRAIN)
    mark = output / ".changed"
    assert mark.exists() == is_marked
    if is_marked:
        assert mark.read_text() == "`a` was written while `train_1` ran"


@pytest.mark.parametrize("is_known", [True, False])
def test_a_remote_output_is_listed_once(
    make: Callable[..., Targets], new_store: Callable[[], MemoryStore], is_known: bool
) -> None:
    """Else a thousand steps that read one output list it a thousand times."""
    store, targets = new_store(), _targets(make, "gs://bucket/out")
    output = targets.all[RAW].output_path
    _commit(store, output, FILES)
    inputs = Inputs(store, targets, {RAW: FILES} if is_known else {})
    listed: list[str] = []
    files = store.files
    store.files = lambda folder: listed.append(folder) or files(folder)  # type: ignore[func-returns-value, method-assign]
    assert inputs.look(TRAIN) == inputs.look(TRAIN) == Before({})
    assert listed == ([] if is_known else [output])
    assert inputs.hint(TRAIN) == ""
    del store.contents[f"{output}/a"]
    assert "`a` is missing" in inputs.hint(TRAIN), "a failure has another look"


def test_a_remote_output_that_another_run_built_is_compared(
    make: Callable[..., Targets], new_store: Callable[[], MemoryStore]
) -> None:
    store, targets = new_store(), _targets(make, "gs://bucket/out")
    output = targets.all[RAW].output_path
    _commit(store, output, FILES)
    del store.contents[f"{output}/a"]
    stopped = Inputs(store, targets).look(TRAIN)
    assert isinstance(stopped, Stopped)
    assert "`a` is missing" in stopped.message


@pytest.mark.parametrize(
    ("outputs", "is_stopped"), [(["a"], False), (["c"], True), (None, False), ((), False)]
)
def test_without_a_manifest_what_is_declared_must_be_there(
    make: Callable[..., Targets], new_store: Callable[[], MemoryStore],
    outputs: Sequence[str] | None, is_stopped: bool,
) -> None:  # fmt: skip
    """Marin writes no manifests."""
    store, targets = new_store(), _targets(make, "gs://bucket/out", outputs=outputs)
    output = targets.all[RAW].output_path
    store.contents |= {f"{output}/a": b"abc", f"{output}/.executor_status": b"SUCCESS"}
    assert isinstance(Inputs(store, targets).look(TRAIN), Stopped) == is_stopped


def test_other_programs_may_add_to_a_path_of_the_authors_choice(
    make: Callable[..., Targets], folder: Path
) -> None:
    targets = _targets(make, str(folder / "out"), override_output_path=str(folder / "mine"))
    output = Path(targets.all[RAW].output_path)
    output.mkdir()
    (output / "new").write_text("")
    (output / ".executor_status").write_text("SUCCESS")
    assert isinstance(Inputs(LocalStore(), targets, {RAW: ()}).look(TRAIN), Before)


def test_what_this_run_built_is_known(local: tuple[Path, Inputs]) -> None:
    output, inputs = local
    (output / "d" / "b").unlink()
    inputs.built(RAW, [File("a", 3)])
    assert isinstance(inputs.look(TRAIN), Before)


def test_an_output_may_be_very_deep(local: tuple[Path, Inputs]) -> None:
    """Else nothing is built from what a step could leave, and be committed with."""
    output, inputs = local
    folders = ["x/" * number for number in range(1, 1201)]
    for folder in folders:
        (output / folder).mkdir()
    last = output / folders[-1] / "last"
    last.write_text("x")
    inputs.built(RAW, [*FILES, File(f"{folders[-1]}last", 1)])
    try:
        assert isinstance(inputs.look(TRAIN), Before)
    finally:
        last.unlink()
        for folder in reversed(folders):  # pytest cannot: it goes down by recursion
            (output / folder).rmdir()


def test_a_folder_that_may_not_be_listed_is_named(
    local: tuple[Path, Inputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the step fails with the words of a bug."""
    output, inputs = local
    scandir = os.scandir

    def refuse(path: str) -> Any:
        if path.endswith("/d/"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(StoreError, match=f"cannot list `{output}/d`: permission denied"):
        inputs.look(TRAIN)


NESTED = (File("x/.executor_status", 7), File("x/data", 1))
"""What an output with another one inside was committed with, if that one was built first."""


def test_an_output_inside_another_is_looked_at_by_itself(
    make: Callable[..., Targets], folder: Path, new_store: Callable[[], MemoryStore]
) -> None:
    """Else nothing can be built from an outer output any more, once it is built again."""
    targets = _targets(make, str(folder / "out"))
    output = Path(targets.all[RAW].output_path)
    output.mkdir(parents=True)
    _other_output(output)
    (output / "a").write_text("abc")
    (output / ".executor_status").write_text("SUCCESS")
    committed = (File("a", 3), *NESTED)
    local = Inputs(LocalStore(), targets, {RAW: committed})
    assert isinstance(local.look(TRAIN), Before)
    store, targets = new_store(), _targets(make, "gs://bucket/out")
    remote = targets.all[RAW].output_path
    _commit(store, remote, committed)
    store.contents[f"{remote}/x/data"] = b"built again, with another size"
    assert isinstance(Inputs(store, targets).look(TRAIN), Before)
    store.contents[f"{remote}/a"] = b""
    assert isinstance(Inputs(store, targets).look(TRAIN), Stopped)


TOMBSTONE = Tombstone("SUCCESS", "ada", "2026-11-30T10:00:00+00:00", "g-1").encode()


def test_what_is_read_loses_its_tombstone_first(local: tuple[Path, Inputs]) -> None:
    """Else gc deletes the data while the step reads it."""
    output, inputs = local
    assert isinstance(inputs.look(TRAIN), Before), "for a step before this one"
    (output / ".executor_status").write_bytes(TOMBSTONE)
    assert isinstance(inputs.look(TRAIN), Before)
    assert (output / ".executor_status").read_text() == "SUCCESS"


@pytest.mark.parametrize("status", ["DELETING", "LET_GO", None])
def test_nothing_is_built_from_what_gc_deletes(
    local: tuple[Path, Inputs], status: str | None
) -> None:
    """Else a step reads a part of its input."""
    output, inputs = local
    assert isinstance(inputs.look(TRAIN), Before), "for a step before this one"
    (output / ".executor_status").unlink()
    if status is not None:
        (output / ".executor_status").write_text(status)
    stopped = inputs.look(TRAIN)
    assert isinstance(stopped, Stopped)
    assert "was deleted since the plan was made" in stopped.message
    assert "apply again" in stopped.hint


def _commit(store: MemoryStore, output: str, files: Sequence[File]) -> None:
    record = {
        "executor_version": "marin_build/1", "fingerprint": "f", "run": "r", "end": "",
        "provenance": {"user": "ada", "host": "h"}, "attempt": 1,
    }  # fmt: skip
    publish = {
        "record": record,
        "manifest": [{"path": path, "size": size} for path, size in files],
        "has_artifact": False,
    }
    attempt = {"result": "succeeded", "run": "r", "worker": "w", "publish": publish}
    store.contents[f"{output}/.executor_status"] = b"SUCCESS"
    store.contents[f"{output}/.executor_info"] = json.dumps(record).encode()
    store.contents[f"{output}/.logs/attempt-0001.json"] = json.dumps(attempt).encode()
    store.contents |= {f"{output}/{path}": b"x" * size for path, size in files}
