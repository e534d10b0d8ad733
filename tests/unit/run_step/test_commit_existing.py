"""Registering existing data: one commit, whoever dies meanwhile; and the data is let alone."""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec
from marin_build.errors import StoppedError, UsageError
from marin_build.observe.existing_data import read_existing, refuse_unfit
from marin_build.plan import outcomes as ended
from marin_build.protocol.documents import Attempt, Provenance, Record
from marin_build.protocol.lease import Host, Lease
from marin_build.protocol.look import look
from marin_build.protocol.manifest import differences, shortened
from marin_build.protocol.unlock import unlock
from marin_build.run_step.commit_existing import adopt
from marin_build.run_step.session import Session
from marin_build.run_step.supervisor import build_target
from marin_build.run_step.workers import Start
from marin_build.store.base import File
from marin_build.store.local import LocalStore
from marin_build.workspace.workspace import Workspace, current_workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from marin_build.pipeline.targets import Targets

NOW = datetime(2026, 11, 21, tzinfo=UTC)


class _DiedError(BaseException):
    """The process is no more."""


class Dying(LocalStore):
    """A local store whose caller dies at the so-many-th call, before or after it is done."""

    def __init__(self, at: int, when: str) -> None:
        super().__init__()
        self.at, self.when, self.calls = at, when, 0

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in {"get", "get_many", "put_if_absent", "replace_if", "delete_if", "files",
                        "list"}:  # fmt: skip
            return found
        return lambda *args: self._call(found, args)

    def _call(self, method: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        self.calls += 1
        if self.calls == self.at and self.when == "before":
            raise _DiedError
        answer = method(*args)
        if self.calls == self.at:
            raise _DiedError
        return answer


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "out"))):
        yield tmp_path


@pytest.fixture
def session(make: Callable[..., Targets], folder: Path) -> Session:
    """A run over `old` and `reader`, which needs it; the outputs lie in the folder."""

    def build(output: str) -> None:
        Path(output, "built").touch()

    old = StepSpec(name="old", fn=build, output_path_prefix="out")
    targets = make(StepSpec(name="reader", fn=build, deps=[old], output_path_prefix="out"))
    return Session(
        store=LocalStore(), targets=targets, deep=targets.deep_fingerprints(), run="a-1",
        host=Host("me@here", "here"), now=lambda: NOW,
        provenance=lambda: Provenance(user="ada", host="h", argv=(), python="3", marin_build="0"),
    )  # fmt: skip


def _output(session: Session) -> Path:
    return Path(session.targets.all[0].output_path)


def _data(place: Path) -> Path:
    place.mkdir(parents=True)
    (place / "a").write_text("aaa")
    (place / ".executor_status").write_text("SUCCESS")
    return place


def _adopt(session: Session, place: Path) -> Record | None:
    return adopt(session, 0, read_existing(session.store, str(place)), "because")


def _nobody_lives(session: Session, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Session, "is_abandoned", lambda *_: True)


def test_a_record_says_where_the_data_lies_and_the_manifest_what_it_is(
    session: Session, folder: Path
) -> None:
    place = _data(folder / "place")
    record = _adopt(session, place)
    assert record == Record.from_bytes((_output(session) / ".executor_info").read_bytes())
    assert record is not None
    assert (record.adopted_from, record.files, record.bytes, record.note) == (
        str(place), 1, 3, "because")  # fmt: skip
    assert (record.attempt, record.run, record.code_digest) == (1, "a-1", None)
    document = Attempt.from_bytes((_output(session) / ".logs/attempt-0001.json").read_bytes())
    assert document.publish is not None
    assert [(entry.path, entry.size) for entry in document.publish.manifest] == [("a", 3)]
    seen = look(session.store, str(_output(session)))
    assert (seen.status, seen.lease) == ("SUCCESS", None)


def test_what_is_built_is_not_adopted(session: Session, folder: Path) -> None:
    place = _data(folder / "place")
    assert _adopt(session, place) is not None
    assert _adopt(session, place) is None


def test_what_somebody_holds_is_not_adopted(session: Session, folder: Path) -> None:
    place, output = _data(folder / "place"), _output(session)
    output.mkdir(parents=True)
    (output / ".executor_status").write_text("RUNNING")
    (output / ".executor_status.lock").write_bytes(Lease("bob@there", 1.0, nonce="b").encode())
    with pytest.raises(StoppedError, match="is held"):
        _adopt(session, place)
    assert not (output / ".executor_info").exists()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("in_place", [False, True], ids=["elsewhere", "in place"])
def test_who_dies_at_any_call_leaves_what_the_next_one_finishes(
    make: Callable[..., Targets], session: Session, folder: Path, when: str, in_place: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    _nobody_lives(session, monkeypatch)
    for at in itertools.count(1):
        step = StepSpec(name=f"s{at}", output_path_prefix="out")
        targets = make(step)
        here = replace(session, targets=targets, deep=targets.deep_fingerprints())
        output = Path(targets.all[0].output_path)
        place = output if in_place else folder / f"place{at}"
        _data(place)
        (place / ".executor_status").unlink()
        before = sorted((p.name, p.read_bytes()) for p in place.iterdir())
        store = Dying(at, when)
        try:
            _adopt(replace(here, store=store), place)
        except _DiedError:
            existing = read_existing(here.store, str(place))
            seen = look(here.store, str(output))
            if seen.status != "SUCCESS" and (seen.lease is None or not seen.lease.is_sealed):
                refuse_unfit(existing, None, force=False)  # it is not called unfinished
            adopt(here, 0, existing, "because")
        else:
            assert at > 8
            break
        record = Record.from_bytes((output / ".executor_info").read_bytes())
        assert (record.adopted_from, record.files) == (str(place), 1)
        assert (output / ".executor_status").read_text() == "SUCCESS"
        assert not (output / ".executor_status.lock").exists()
        assert set(before) <= {(p.name, p.read_bytes()) for p in place.iterdir() if p.is_file()}
        if not in_place:
            assert before == sorted((p.name, p.read_bytes()) for p in place.iterdir())


def test_an_artifact_is_kept_as_it_is_whatever_was_tried_before(session: Session) -> None:
    output = _data(_output(session))
    (output / ".logs").mkdir()
    (output / ".logs/attempt-0001.json").write_text("{}")
    (output / ".executor_status").write_text("FAILED")
    (output / ".artifact.json").write_text('{ "n":  1 }')
    record = _adopt(session, output)
    assert record is not None
    assert record.attempt == 2
    assert (output / ".artifact.json").read_text() == '{ "n":  1 }'


def test_data_that_changes_meanwhile_is_not_adopted(session: Session) -> None:
    output = _data(_output(session))
    (output / ".executor_status").unlink()
    existing = read_existing(session.store, str(output))
    (output / "a").unlink()  # somebody tried to build it, and cleared it
    with pytest.raises(StoppedError, match="changed while it was adopted") as caught:
        adopt(session, 0, existing, None)
    assert caught.value.facts == (("differs", "`a` is missing"),)
    seen = look(session.store, str(output))
    assert (seen.status, seen.lease) == (None, None)


@pytest.mark.parametrize("unlocked", [False, True])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_build_after_an_adopt_that_died_does_not_clear_the_data(
    make: Callable[..., Targets], session: Session, when: str, unlocked: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Adopting is the way to keep data: if it is cut short, the data must not be lost by that."""
    _nobody_lives(session, monkeypatch)
    for at in itertools.count(1):
        step = StepSpec(name=f"s{at}", fn=print, output_path_prefix="out")
        targets = make(step)
        here = replace(session, targets=targets, deep=targets.deep_fingerprints())
        output = Path(targets.all[0].output_path)
        _data(output)
        (output / ".executor_status").unlink()
        try:
            _adopt(replace(here, store=Dying(at, when)), output)
        except _DiedError:
            if unlocked and not _is_sealed(output):
                unlock(here.store, str(output), target="s", who="ada", is_abandoned=lambda _: True,
                       left_working=lambda _: (), force=False)  # fmt: skip
            for _ in range(2):
                outcome = _build(replace(here, run="r-2"), 0)
                assert isinstance(outcome, ended.Reused | ended.Stopped), at
                assert (output / "a").read_text() == "aaa"
            if isinstance(outcome, ended.Stopped):
                assert "foreign data" in outcome.message
        else:
            assert at > 8
            break


def _is_sealed(output: Path) -> bool:
    lease = look(LocalStore(), str(output)).lease
    return lease is not None and lease.is_sealed


def _build(session: Session, index: int) -> ended.Outcome:
    return build_target(session, Start(index, f"n{index}"), bodies=None,  # type: ignore[arg-type]
                        slot=0, asked_to_end=lambda: "", tell=print,
                        bookkeeping=nullcontext())  # fmt: skip


def test_who_reads_what_was_adopted_meanwhile_is_stopped(session: Session, folder: Path) -> None:
    place = _data(folder / "place")
    _adopt(session, place)
    assert isinstance(_build(session, 0), ended.Reused)
    outcome = _build(session, 1)
    assert isinstance(outcome, ended.Stopped)
    assert f"its data lies at `{place}`" in outcome.message


def test_who_reads_it_where_it_lies_is_not_stopped(session: Session, folder: Path) -> None:
    place = _data(folder / "place")
    _adopt(session, place)
    known = replace(current_workspace(), adopted={session.targets.all[0].id: str(place)})
    with in_workspace(known):
        assert isinstance(_build(session, 0), ended.Reused)
    assert session.refused == {}


def test_who_reads_what_was_adopted_where_it_lies_is_not_stopped(session: Session) -> None:
    output = _data(_output(session))
    (output / ".executor_status").unlink()
    _adopt(session, output)
    assert isinstance(_build(session, 0), ended.Reused)
    assert session.refused == {}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"a": 1, "b": 2}, []),
        ({"a": 1}, ["`b` is missing"]),
        ({"a": 1, "b": 3, "c": 0}, ["`b` has 3 B, not 2 B", "`c` is new"]),
        ({}, ["`a` is missing", "`b` is missing"]),
    ],
)
def test_differences_are_named_file_by_file(found: dict[str, int], words: list[str]) -> None:
    expected = [File("a", 1), File("b", 2)]
    assert differences(expected, [File(*item) for item in found.items()]) == words


def test_of_many_differences_some_are_shown() -> None:
    assert shortened([str(n) for n in range(9)]) == ["0", "1", "2", "3", "4", "and 4 more"]
    assert shortened(["0"]) == ["0"]


@pytest.mark.parametrize(
    ("outputs", "artifact", "fits"),
    [(None, False, False), (None, True, True), ((), False, True), (("a",), False, False)],
)
def test_an_output_without_files(
    folder: Path, outputs: tuple[str, ...] | None, artifact: bool, fits: bool
) -> None:
    (folder / "p").mkdir()
    (folder / "p/.executor_status").write_text("SUCCESS")
    if artifact:
        (folder / "p/.artifact.json").write_text("1")
    existing = read_existing(LocalStore(), str(folder / "p"))
    if fits:
        refuse_unfit(existing, outputs, force=False)
    else:
        with pytest.raises(UsageError):
            refuse_unfit(existing, outputs, force=True)
