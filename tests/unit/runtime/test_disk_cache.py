"""`disk_cache`: what was computed is never computed again, and what failed is never loaded."""

from __future__ import annotations

import json
import pickle
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build import (
    STATUS_DEP_FAILED,
    STATUS_FAILED,
    STATUS_SUCCESS,
    Artifact,
    PreviousTaskFailedError,
    StatusFile,
    StepAlreadyDone,
    disk_cache,
    distributed_lock,
)
from marin_build.errors import (
    CorruptStateError,
    SpecificationError,
    StoppedError,
    UnfingerprintableError,
)
from marin_build.runtime.cache_path import derived_path
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def _prefix(tmp_path: Path) -> Iterator[None]:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "prefix"))):
        yield


class Counter:
    """A function that counts its calls, and fails as long as it is told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.error: BaseException | None = None

    def __call__(self, output_path: str) -> dict[str, int]:
        self.calls += 1
        if self.error is not None:
            raise self.error
        Path(output_path).mkdir(exist_ok=True)
        Path(output_path, "data.txt").write_text("x")
        return {"calls": self.calls}


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def out(tmp_path: Path) -> str:
    return str(tmp_path / "out")


def _status(out: str) -> str | None:
    return StatusFile(out, "w").status


def _stepwise(fn: Callable[[str], Any], out: str) -> Callable[[str], Any]:
    return disk_cache(fn, output_path=out, save_fn=Artifact.save, load_fn=Artifact.load)


def test_the_second_call_loads(counter: Counter, out: str) -> None:
    cached = _stepwise(counter, out)
    assert (cached(out), cached(out), counter.calls) == ({"calls": 1}, {"calls": 1}, 1)
    assert _status(out) == STATUS_SUCCESS


def test_with_a_path_alone_the_function_reads_what_it_wrote(out: str) -> None:
    @disk_cache(output_path=out)
    def words(text: str) -> list[str]:
        file = Path(out, "words.txt")
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        return file.read_text().split()

    assert words("a b") == ["a", "b"]
    assert words("other") == ["a", "b"]


def test_with_a_path_alone_a_lock_inside_does_not_stand_in_the_way(
    counter: Counter, out: str
) -> None:
    cached = disk_cache(distributed_lock(counter), output_path=out)
    assert (cached(out), cached(out)) == ({"calls": 1}, {"calls": 2})


def test_without_a_path_one_is_derived_and_the_result_is_kept_there(tmp_path: Path) -> None:
    calls: list[int] = []

    def square(x: int, *, power: int = 2) -> set[int]:
        calls.append(x)
        return {x**power}

    bare, with_parentheses = disk_cache(square), disk_cache()(square)
    assert bare(3) == with_parentheses(x=3) == bare(3, power=2) == {9}
    assert calls == [3]
    assert bare(4) == {16}
    assert calls == [3, 4]
    (folder, _) = sorted((tmp_path / "prefix/.marin-build/cache").iterdir())
    assert sorted(p.name for p in folder.iterdir()) == [".executor_status", "data.json"]
    assert "square" in folder.name


def test_a_decorated_function_keeps_its_name_and_its_methods_work() -> None:
    @dataclass(frozen=True)
    class Model:
        size: int

        @disk_cache
        def double(self) -> int:
            """Twice the size."""
            return 2 * self.size

    assert (Model(2).double(), Model(3).double(), Model(2).double()) == (4, 6, 4)
    assert Model.double.__doc__ == "Twice the size."


def test_functions_without_a_name_of_their_own_do_not_share_results() -> None:
    def plus(n: int) -> Callable[[int], int]:
        return disk_cache(lambda x: x + n)

    assert (plus(1)(1), plus(2)(1), disk_cache(lambda x: x - 1)(1)) == (2, 3, 0)


def test_what_a_path_cannot_be_derived_from_is_refused() -> None:
    with pytest.raises(UnfingerprintableError, match="has no canonical form"):
        disk_cache(len)(object())  # type: ignore[arg-type]


def _named(first: object, second: object = None) -> None: ...


@given(st.lists(st.recursive(st.integers() | st.text(), st.lists), min_size=1, max_size=2))
def test_equal_arguments_share_a_path_and_others_do_not(args: list[Any]) -> None:
    path = derived_path(_named, args, {})
    assert path == derived_path(_named, json.loads(json.dumps(args)), {})
    assert path != derived_path(_named, [[args[0]]], {})


def test_an_exception_is_raised_and_remembered_as_failed(counter: Counter, out: str) -> None:
    cached = _stepwise(counter, out)
    counter.error = ValueError("no")
    with pytest.raises(ValueError, match="no"):
        cached(out)
    assert _status(out) == STATUS_FAILED
    counter.error = None
    assert cached(out) == {"calls": 2}
    assert _status(out) == STATUS_SUCCESS


def test_a_command_that_exits_has_failed(counter: Counter, out: str) -> None:
    counter.error = SystemExit(3)
    with pytest.raises(SystemExit):
        _stepwise(counter, out)(out)
    assert _status(out) == STATUS_FAILED


def test_an_interrupt_says_nothing_about_the_target(counter: Counter, out: str) -> None:
    counter.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        _stepwise(distributed_lock(counter), out)(out)
    assert _status(out) is None
    assert list(Path(out).iterdir()) == []


def test_what_cannot_be_saved_has_failed(out: str) -> None:
    with pytest.raises(TypeError, match="cannot be saved"):
        _stepwise(lambda _: object(), out)(out)
    assert _status(out) == STATUS_FAILED


def test_one_of_save_and_load_is_refused(counter: Counter) -> None:
    with pytest.raises(SpecificationError, match="`save_fn` without `load_fn`"):
        disk_cache(counter, save_fn=Artifact.save)
    with pytest.raises(SpecificationError, match="`load_fn` without `save_fn`"):
        disk_cache(load_fn=Artifact.load)


def test_a_result_that_is_gone_or_damaged_is_no_result(tmp_path: Path) -> None:
    cached = disk_cache(_named)
    cached(1)
    (data,) = (tmp_path / "prefix/.marin-build/cache").glob("*/data.json")
    data.write_bytes(b"garbage")
    with pytest.raises(CorruptStateError, match=r"data\.json` is not readable"):
        cached(1)
    data.unlink()
    with pytest.raises(CorruptStateError, match=r"data\.json` is missing"):
        cached(1)


def test_what_another_finished_meanwhile_is_loaded(out: str) -> None:
    def beaten(_: str) -> dict[str, int]:
        Artifact.save({"by": 2}, out)
        raise StepAlreadyDone(out)

    assert _stepwise(beaten, out)(out) == {"by": 2}


def test_nothing_slips_in_between_the_function_and_success(out: str) -> None:
    """Released at the function's end, the lock would let a second builder start."""
    held: list[bool] = []

    def save(value: object, output_path: str) -> None:
        held.append(Path(output_path, ".executor_status.lock").exists())

    cached = disk_cache(
        distributed_lock(lambda _: 1), output_path=out, save_fn=save, load_fn=lambda _: 2
    )
    assert cached(out) == 1
    assert held == [True]
    assert sorted(p.name for p in Path(out).iterdir()) == [".executor_status"]


def test_of_many_at_once_one_builds_and_all_get_the_result(counter: Counter, out: str) -> None:
    def slow(output_path: str) -> dict[str, int]:
        time.sleep(0.05)
        return counter(output_path)

    cached = _stepwise(distributed_lock(slow), out)
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(cached(out))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [{"calls": 1}] * 6


def test_a_failure_is_written_before_the_next_one_may_start(counter: Counter, out: str) -> None:
    counter.error = ValueError("no")
    with pytest.raises(ValueError, match="no"):
        _stepwise(distributed_lock(counter), out)(out)
    assert sorted(p.name for p in Path(out).iterdir()) == [".executor_status"]
    assert _status(out) == STATUS_FAILED


@pytest.mark.parametrize("fails", [False, True])
def test_who_lost_his_lock_writes_no_status(out: str, fails: bool) -> None:
    """The target is another's by then: SUCCESS would hand his half-written output on."""

    @distributed_lock
    def overtaken(output_path: str) -> int:
        theirs = {"worker_id": "host-2", "timestamp": 1.0}
        Path(output_path, ".executor_status.lock").write_text(json.dumps(theirs))
        if fails:
            raise ValueError("no")
        return 1

    with pytest.raises(ValueError if fails else StoppedError):
        _stepwise(overtaken, out)(out)
    assert _status(out) is None
    assert not Path(out, ".artifact.json").exists()


def test_a_refusal_to_run_again_leaves_the_status(counter: Counter, out: str) -> None:
    StatusFile(out, "w").write_status(STATUS_DEP_FAILED)
    with pytest.raises(PreviousTaskFailedError):
        _stepwise(distributed_lock(counter, force_run_failed=False), out)(out)
    assert (_status(out), counter.calls) == (STATUS_DEP_FAILED, 0)


class _Planted:
    """Loads as a call: what a pickle of another user may be."""

    calls: ClassVar[list[str]] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return _run, ("ran",)


def _run(word: str) -> None:
    _Planted.calls.append(word)


_counted: list[int] = []


def counted(x: int) -> int:
    """Count its calls, and have a name of its own."""
    _counted.append(x)
    return x + 1


def test_a_pickle_in_the_prefix_is_not_loaded_unless_that_is_allowed(tmp_path: Path) -> None:
    """Else every program that caches there runs code of each user who may write there."""
    _Planted.calls.clear()
    _counted.clear()
    folder = Path(derived_path(counted, (1,), {}))
    folder.mkdir(parents=True)
    (folder / "data.pkl").write_bytes(pickle.dumps(_Planted()))
    (folder / ".executor_status").write_text("SUCCESS")
    assert disk_cache(counted)(1) == 2
    assert (_counted, _Planted.calls) == ([1], [])
    assert disk_cache(counted)(1) == 2
    assert _counted == [1], "the new form is loaded"
    for place in (folder, *folder.parents):
        if place.is_relative_to(tmp_path):
            place.chmod(0o755)
    assert disk_cache(counted, pickle=True)(1) is None
    assert _Planted.calls == ["ran"]
    folder.chmod(0o777)
    with pytest.raises(StoppedError, match="a pickle is not used where other users may write it"):
        disk_cache(counted, pickle=True)(1)
    assert _Planted.calls == ["ran"]


def test_any_value_is_kept_where_pickle_is_allowed(tmp_path: Path) -> None:
    calls: list[complex] = []

    def turned(x: int) -> Any:
        calls.append(x)
        return [x * 1j]

    with pytest.raises(SpecificationError, match="kept without pickle: complex") as caught:
        disk_cache(turned)(2)
    assert "pickle=True" in (caught.value.hint or "")
    for place in (tmp_path / "prefix").rglob("*"):
        place.chmod(0o755)
    cached = disk_cache(turned, pickle=True)
    assert (cached(2), cached(2), calls) == ([2j], [2j], [2, 2])


def test_pickle_beside_what_saves_the_result_is_refused(out: str) -> None:
    with pytest.raises(SpecificationError, match="pickle=True"):
        disk_cache(
            _named, output_path=out, save_fn=Artifact.save, load_fn=Artifact.load, pickle=True
        )


def test_a_pickle_may_lie_at_a_path(out: str) -> None:
    """Else who names the place of a result cannot keep what only pickle keeps."""
    calls: list[int] = []

    @disk_cache(output_path=Path(out), pickle=True)
    def turned() -> object:
        calls.append(1)
        return lambda: 1j

    assert turned()() == turned()() == 1j  # type: ignore[operator]
    assert calls == [1]
