"""One target from its lease to its end: nothing is cleared, run or committed for somebody else."""

from __future__ import annotations

import errno
import functools
import itertools
import json
import os
import shutil
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from marin_build import StepSpec
from marin_build.errors import StoreAwayError, StoreDeniedError, StoreError
from marin_build.plan import outcomes as ended
from marin_build.protocol.acquire import Claimant
from marin_build.protocol.documents import Attempt, FileEntry, Provenance, Publication, Record
from marin_build.protocol.foreign_data import ForeignData, find_data
from marin_build.protocol.held_target import Holding
from marin_build.protocol.lease import Host, Lease
from marin_build.protocol.look import look
from marin_build.run_step import attempt, end_attempt, patient_store, prepare_output, supervisor
from marin_build.run_step.body import Done, run_body
from marin_build.run_step.commit_retry import CommitRetry
from marin_build.run_step.patient_store import PatientStore
from marin_build.run_step.resource_usage import OWN, Meter
from marin_build.run_step.session import Session
from marin_build.run_step.supervisor import build_target
from marin_build.run_step.workers import INTERRUPTED, Start
from marin_build.store.local import LocalStore
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from marin_build.pipeline.targets import Target, Targets
    from marin_build.run_step.body import Request
    from marin_build.store.base import Blob, File
    from tests.unit.conftest import MemoryStore

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "out"))):
        yield tmp_path


class Clock:
    """The clock that counts sleep."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (prepare_output, supervisor):
        monkeypatch.setattr(module, "boot_clock", clock)
    return clock


@dataclass
class Bodies:
    """Runs bodies here and now."""

    session: Session
    released: list[int] = field(default_factory=list)
    answer: Done | None = None
    requests: list[Request] = field(default_factory=list)
    is_spent: bool = False
    makes_logs: bool = False
    are_in_threads: bool = False

    def run(self, slot: int, request: Request, tell: Callable[[str], None]) -> Done:
        self.requests.append(request)
        return self.answer or run_body(self.session.targets.all[request.index], Meter.begin(OWN))

    def release(self, index: int) -> None:
        self.released.append(index)

    def signal(self, index: int, number: int) -> None:
        """Nothing runs beside the test."""

    def tend(self) -> float | None:
        return None

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Stage:
    """One step, and who builds it."""

    session: Session
    bodies: Bodies
    starts: int = 0

    @property
    def target(self) -> Target:
        return self.session.targets.all[0]

    @property
    def output(self) -> Path:
        return Path(self.target.output_path)

    def build(self, *, why: str = "", seen: Any = None, refusal: str = "") -> ended.Outcome:
        self.starts += 1
        force = 0 in self.session.forced
        start = Start(0, f"n{self.starts}", seen=seen, force=force, refusal=refusal)
        return build_target(self.session, start,
                            bodies=self.bodies, slot=0, asked_to_end=lambda: why,
                            tell=print, bookkeeping=nullcontext())  # fmt: skip

    def document(self, number: int = 1) -> Attempt:
        path = self.output / f".logs/attempt-{number:04}.json"
        return Attempt.from_bytes(path.read_bytes())


@pytest.fixture
def stage(make: Callable[..., Targets]) -> Callable[..., Stage]:
    """Return what sets a stage for one step."""

    def stage(
        fn: Callable[[Path], object], *, store: Any = None, forced: bool = False, **options: Any
    ) -> Stage:
        targets = make(StepSpec(name="s", fn=lambda output: fn(Path(output)),
                                **{"output_path_prefix": "out", **options}))  # fmt: skip
        session = Session(
            store=store or LocalStore(), targets=targets, deep=targets.deep_fingerprints(),
            run="r-1", host=Host("me@here", "here"), now=lambda: NOW,
            provenance=lambda: Provenance(user="ada", host="h", argv=(), python="3", marin_build="0"),
            forced=frozenset([0] if forced else []),
        )  # fmt: skip
        return Stage(session, Bodies(session))

    return stage


def _write(*names: str) -> Callable[[Path], None]:
    def write(output: Path) -> None:
        for name in names:
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            (output / name).write_text("new")

    return write


def _fail(output: Path) -> None:
    _write("half", ".tmp/half")(output)
    raise ValueError("boom")


def test_what_a_step_leaves_is_committed(stage: Callable[..., Stage]) -> None:
    def build(output: Path) -> dict[str, int]:
        _write("b", "a/c")(output)
        return {"n": 1}

    made = stage(build)
    assert isinstance(made.build(), ended.Succeeded)
    assert (made.output / ".executor_status").read_text() == "SUCCESS"
    assert json.loads((made.output / ".artifact.json").read_text()) == {"n": 1}
    publish = made.document().publish
    assert publish is not None
    assert publish.manifest == (FileEntry(path="a/c", size=3), FileEntry(path="b", size=3))
    assert publish.record == Record.from_bytes((made.output / ".executor_info").read_bytes())
    assert publish.record.fingerprint == made.target.fingerprint
    assert made.build() == ended.Reused()


@pytest.mark.parametrize(
    "options",
    [{"version": "v1"}, {"version": "v1", "is_pinned": True}, {"override_output_path": "x"}, {}],
)
def test_another_identity_that_was_built_meanwhile(
    stage: Callable[..., Stage], options: dict[str, Any]
) -> None:
    """Else a run that waited for another reports that what it never declared is reused."""
    options = dict(options)
    is_pinned = options.pop("is_pinned", False)
    made = stage(_write("a"), **options)
    if is_pinned:
        made = stage(_write("a"), **options, expected_fingerprint=made.target.fingerprint)
    assert isinstance(made.build(), ended.Succeeded)
    path = made.output / ".executor_info"
    path.write_text(json.dumps({**json.loads(path.read_text()), "fingerprint": "0" * 64}))
    outcome = made.build()
    assert isinstance(outcome, ended.Stopped)
    assert str(made.output) in outcome.message


@pytest.mark.parametrize(
    ("write", "outputs", "missing"),
    [
        ([], None, "neither a file nor an artifact"),
        (["a"], ["a", "b"], "declared outputs are missing or empty: `b`"),
    ],
)
def test_a_step_that_does_not_leave_what_it_declares_has_failed(
    stage: Callable[..., Stage], write: list[str], outputs: list[str] | None, missing: str
) -> None:
    made = stage(_write(*write), outputs=outputs)
    failed = made.build()
    assert isinstance(failed, ended.Failed)
    assert missing in failed.message
    assert missing in Path(failed.log).read_text()
    assert (made.document().result, made.document().message) == ("failed", failed.message)
    assert (made.output / ".executor_status").read_text() == "FAILED"


@pytest.mark.parametrize(
    ("error", "words", "hint"),
    [
        (OSError(errno.ENOSPC, "No space left"), "no space is left below", "make space there"),
        (OSError(errno.EIO, "I/O error", "x.log"), "cannot write below", ""),
    ],
)
def test_a_disk_that_takes_nothing_is_named_where_no_log_can_say_so(
    stage: Callable[..., Stage],
    monkeypatch: pytest.MonkeyPatch,
    error: OSError,
    words: str,
    hint: str,
) -> None:
    """Else the message of a full disk is the exit code of a bug."""
    made = stage(_write("a"))

    def broken(*_: object) -> Done:
        raise error

    monkeypatch.setattr(made.bodies, "run", broken)
    failed = made.build()
    assert isinstance(failed, ended.Failed)
    assert (failed.exit_code, failed.message.startswith(words)) == (1, True)
    assert failed.hint.startswith(hint)


def test_an_early_exit_without_an_error_is_not_success(stage: Callable[..., Stage]) -> None:
    def leave(output: Path) -> None:
        _write("half")(output)
        raise SystemExit(0)

    made = stage(leave)
    assert isinstance(made.build(), ended.Failed)
    assert (made.output / ".executor_status").read_text() == "FAILED"


def _remake(output: Path) -> None:
    shutil.rmtree(output)
    _write("new")(output)


def _empty(output: Path) -> None:
    for path in list(output.iterdir()):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    _write("new")(output)


def _delete(output: Path) -> None:
    shutil.rmtree(output)


def _delete_and_fail(output: Path) -> None:
    shutil.rmtree(output)
    raise ValueError("boom")


@pytest.mark.parametrize(
    "fn", [_remake, _empty, _delete, _delete_and_fail], ids=lambda fn: fn.__name__
)
def test_a_step_that_deletes_its_folder_is_told_so(
    stage: Callable[..., Stage], fn: Callable[[Path], None]
) -> None:
    """Else it hears of a lost lease, looks for another run that took it, and there is none."""
    made = stage(fn)
    stopped = made.build()
    assert isinstance(stopped, ended.Stopped)
    assert "was deleted while the step ran" in stopped.message
    assert "not the folder" in stopped.hint


def test_a_lease_that_was_taken_away_is_not_called_a_deleted_folder(
    stage: Callable[..., Stage],
) -> None:
    """Else who says `unlock` to a run that lives is told that the step did it."""

    def build(output: Path) -> None:
        _write("new")(output)
        (output / ".executor_status.lock").unlink()

    stopped = stage(build).build()
    assert isinstance(stopped, ended.Stopped)
    assert "the lease on" in stopped.message


@pytest.mark.parametrize("before", ["failed", "stray", "forced"])
@pytest.mark.parametrize("resumable", [False, True])
def test_a_new_attempt_finds_an_empty_folder_unless_it_resumes(
    stage: Callable[..., Stage], before: str, resumable: bool
) -> None:
    """Else the rest of a failed attempt is committed with the next one."""
    found: list[str] = []
    steps = iter([_fail if before == "failed" else _write("old", ".tmp/half")])

    def build(output: Path) -> None:
        step = next(steps, None) if before != "stray" else None
        if step is not None:
            step(output)
            return
        found.extend(sorted(path.name for path in output.iterdir()))
        _write("new")(output)

    made = stage(build, resumable=resumable, forced=before == "forced")
    if before == "stray":
        _write("old", "sub/a")(made.output)
    else:
        made.build()
    outcome = made.build()
    if before == "stray" and not resumable:
        assert isinstance(outcome, ended.Stopped)
        assert "foreign data: `old` and 1 more" in outcome.message
        assert sorted(path.name for path in made.output.iterdir()) == ["old", "sub"]
        return
    assert isinstance(outcome, ended.Succeeded)
    ours = {".executor_status", ".executor_status.lock", ".logs"}
    ours |= {".executor_info"} if before == "forced" else set()
    left = {"failed": {"half", ".tmp"}, "stray": {"old", "sub"},
            "forced": {"old", ".tmp"}}[before]  # fmt: skip
    assert set(found) == (ours | left if resumable else ours)


@pytest.mark.parametrize("came", [False, True])
def test_only_the_data_that_a_person_saw_is_overwritten(
    stage: Callable[..., Stage], came: bool
) -> None:
    """What was copied there after the plan was made is another person's only copy."""
    made = stage(_write("new"))
    _write("old", ".tmp/x")(made.output)
    data = find_data(LocalStore(), str(made.output))
    assert isinstance(data, ForeignData)
    made.session = replace(made.session, overwrites={0: data.listing})
    if came:
        _write("late")(made.output)
    outcome = made.build()
    names = {path.name for path in made.output.iterdir()}
    if came:
        assert isinstance(outcome, ended.Stopped)
        assert names == {"old", ".tmp", "late"}
    else:
        assert isinstance(outcome, ended.Succeeded)
        assert "new" in names
        assert not names & {"old", ".tmp"}


def _by_link(output: Path, corpus: Path) -> None:
    shutil.rmtree(output)
    output.symlink_to(corpus)


def _by_dangling_link(output: Path, corpus: Path) -> None:
    shutil.rmtree(output)
    output.symlink_to(corpus / "nowhere")


def _by_moving(output: Path, corpus: Path) -> None:
    output.rename(output.with_name("aside"))
    output.symlink_to(corpus)


def _by_file(output: Path, corpus: Path) -> None:
    shutil.rmtree(output)
    output.write_text("new")


def _by_pipe(output: Path, corpus: Path) -> None:
    shutil.rmtree(output)
    os.mkfifo(output)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("corpus_is", ["data", "output"])
@pytest.mark.parametrize(
    "swap", [_by_link, _by_dangling_link, _by_moving, _by_file, _by_pipe], ids=lambda f: f.__name__
)
def test_nothing_goes_through_what_a_step_put_in_the_place_of_its_output(
    stage: Callable[..., Stage],
    tmp_path: Path,
    swap: Callable[[Path, Path], None],
    corpus_is: str,
    fails: bool,
) -> None:
    """Else this attempt marks another output as FAILED, and the next one empties the corpus."""
    corpus = tmp_path / "corpus"
    names = ["text", "sub/a"]
    if corpus_is == "output":
        names += [".executor_status", ".executor_info", ".logs/attempt-0001.json"]
    _write(*names)(corpus)
    before = _contents(corpus)

    def build(output: Path) -> None:
        swap(output, corpus)
        if fails:
            raise ValueError("boom")

    made = stage(build)
    outcome = made.build()
    assert isinstance(outcome, ended.Failed)
    assert "in the place of its output" in outcome.message
    assert "rm " in outcome.hint
    for forced in (False, True):
        again = stage(build, forced=forced).build()
        assert isinstance(again, ended.Stopped)
        assert "lies in the place of the output" in again.message
    assert len(made.bodies.requests) == 1
    assert _contents(corpus) == before


def _contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else ""
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("fails", [False, True])
def test_a_link_in_the_place_of_the_logs_is_not_followed(
    stage: Callable[..., Stage], tmp_path: Path, fails: bool
) -> None:
    """Else the documents of attempts are written among the user's own files."""
    _write("corpus/text")(tmp_path)

    def build(output: Path) -> None:
        shutil.rmtree(output / ".logs")
        (output / ".logs").symlink_to(tmp_path / "corpus")
        _write("new")(output)
        if fails:
            raise ValueError("boom")

    made = stage(build)
    assert isinstance(made.build(), ended.Failed if fails else ended.Succeeded)
    assert _contents(tmp_path / "corpus") == {"text": "new"}
    assert made.document().result == ("failed" if fails else "succeeded")


def _finish(output: Path) -> object:
    (output / "weights").write_text("hours")
    return {"loss": object()}


@pytest.mark.parametrize("between", ["nothing", "killed", "changed since"])
def test_what_a_body_finished_is_kept_until_it_is_forced(
    stage: Callable[..., Stage], between: str
) -> None:
    """Else the next attempt clears hours of work for one value that cannot be saved."""
    made = stage(_finish)
    outcome = made.build()
    assert isinstance(outcome, ended.Failed)
    assert (outcome.is_finished, outcome.exit_code) == (True, 1)
    assert "`marin-build commit s --artifact FILE`" in outcome.hint
    kept = made.document().finished
    assert kept is not None
    assert (kept.has_artifact, kept.manifest) == (True, (FileEntry(path="weights", size=5),))
    if between != "nothing":  # an attempt that ended before it could say anything
        cut = made.document().model_copy(
            update={"attempt": 2, "result": "abandoned", "finished": None}
        )
        (made.output / ".logs/attempt-0002.json").write_bytes(cut.to_bytes())
    if between == "changed since":  # it had cleared the output
        (made.output / "weights").unlink()
        made.build()
        assert len(made.bodies.requests) == 2
        return
    for _ in range(2):
        again = made.build()
        assert isinstance(again, ended.Failed)
        assert again.is_finished
        assert "commit s" in again.hint
    assert len(made.bodies.requests) == 1
    assert (made.output / "weights").read_text() == "hours"
    forced = replace(made.session, forced=frozenset([0]))
    assert isinstance(Stage(forced, Bodies(forced), made.starts).build(), ended.Failed)
    assert made.document(5 if between == "killed" else 4).finished is not None


def test_a_message_is_kept_in_part(stage: Callable[..., Stage]) -> None:
    """Else a megabyte of it is in every document, event and plan."""

    def fail(_output: Path) -> None:
        raise ValueError("x" * 1_000_000)

    made = stage(fail)
    outcome = made.build()
    assert isinstance(outcome, ended.Failed)
    assert len(outcome.message) < 10_100
    assert made.document().message == outcome.message


def test_a_step_that_resumes_saves_its_result_at_the_next_try(stage: Callable[..., Stage]) -> None:
    values = iter([object(), 1])
    made = stage(lambda output: (_write("weights")(output), next(values))[1], resumable=True)
    assert isinstance(made.build(), ended.Failed)
    assert isinstance(made.build(), ended.Succeeded)


def test_what_stands_at_an_override_is_never_deleted(
    stage: Callable[..., Stage], tmp_path: Path
) -> None:
    made = stage(_write("new"), output_path_prefix=None, forced=True,
                 override_output_path=str(tmp_path / "there"))  # fmt: skip
    _write("mine")(made.output)
    assert isinstance(made.build(), ended.Succeeded)
    assert isinstance(made.build(), ended.Succeeded)
    assert made.document(2).result == "succeeded"
    assert (made.output / "mine").exists()


def test_an_interrupted_step_is_neither_failed_nor_built(stage: Callable[..., Stage]) -> None:
    made = stage(_fail)
    assert made.build(why=INTERRUPTED) == ended.Interrupted(1)
    assert made.document().result == "interrupted"
    assert (made.output / ".executor_status").read_text() == "RUNNING"


def test_a_step_that_was_ended_for_its_time_says_so(stage: Callable[..., Stage]) -> None:
    failed = stage(_fail).build(why="timed out after 5 s")
    assert isinstance(failed, ended.Failed)
    assert (failed.exit_code, failed.message) == (124, "timed out after 5 s")


def test_the_number_that_is_told_is_that_of_the_document(stage: Callable[..., Stage]) -> None:
    """A lease deleted by hand may have left its number to somebody else, unseen."""
    made = stage(_write(".logs/attempt-0001.json", "a"))
    built = made.build()
    assert isinstance(built, ended.Succeeded)
    assert built.attempt == made.document(2).attempt == 2
    assert Record.from_bytes((made.output / ".executor_info").read_bytes()).attempt == 2


@pytest.mark.parametrize("returned", [None, {"n": 1}])
def test_what_cannot_be_listed_when_the_body_has_ended_is_kept(
    stage: Callable[..., Stage], returned: object
) -> None:
    """Else a store that lists nothing for a moment costs a day of work."""
    is_away = True

    class Away(LocalStore):
        def files(self, folder: str) -> Sequence[File]:
            if is_away:
                raise StoreError("it lists nothing")
            return super().files(folder)

    def build(output: Path) -> object:
        _write("a")(output)
        return returned

    made = stage(build, store=Away())
    failed = made.build()
    assert isinstance(failed, ended.Failed)
    assert failed.is_finished
    assert failed.message == "it did its work, and the store does not take it: it lists nothing"
    assert "marin-build commit s" in failed.hint
    assert made.document().result == "interrupted"
    assert not (made.output / ".executor_status.lock").exists()
    is_away = False
    assert made.build() == ended.Reused(published=True)
    assert len(made.bodies.requests) == 1
    record = Record.from_bytes((made.output / ".executor_info").read_bytes())
    assert (record.files, record.bytes, record.attempt) == (1, 3, 2)
    assert json.loads((made.output / ".artifact.json").read_text()) == returned


@pytest.mark.parametrize("error", [StoreDeniedError("no"), StoreError("no bucket")])
@pytest.mark.parametrize("verb", ["files", "replace_if", "put_if_absent"])
def test_what_a_store_does_not_take_is_committed_later(
    stage: Callable[..., Stage], verb: str, error: StoreError
) -> None:
    """Else a login that ends at the wrong moment throws away what a step has done."""
    away = False

    class Away(LocalStore):
        def __getattribute__(self, name: str) -> Any:
            if name == verb and away:
                raise error
            return super().__getattribute__(name)

    def build(output: Path) -> None:
        nonlocal away
        _write("a")(output)
        away = made.starts == 1

    made = stage(build, store=Away())
    failed = made.build()
    assert isinstance(failed, ended.Failed)
    assert (failed.cause, failed.is_finished) == ("infra", True)
    away = False
    assert made.build() == ended.Reused(published=True)
    assert (made.output / ".executor_status").read_text() == "SUCCESS"
    assert len(made.bodies.requests) == 1


@pytest.mark.parametrize(
    "change", ["the output", "the identity", "a rebuild", "the status was deleted"]
)
def test_what_is_not_as_it_was_is_built_again(stage: Callable[..., Stage], change: str) -> None:
    """Else the output of another program is committed, or a half one."""
    away = False

    class Away(LocalStore):
        def replace_if(self, path: str, data: bytes, version: str) -> str | None:
            if away:
                raise StoreDeniedError("no")
            return super().replace_if(path, data, version)

    def build(output: Path) -> None:
        nonlocal away
        _write("a")(output)
        away = made.starts == 1 and change != "the status was deleted"

    store, place = Away(), {"override_output_path": "out/x"}
    made = stage(build, store=store, **place)
    first, away = made.build(), False
    if change == "the status was deleted":
        assert isinstance(first, ended.Succeeded)
        (made.output / ".executor_status").unlink()
    elif change == "the output":
        (made.output / "a").write_text("longer")
    elif change == "the identity":
        made = stage(build, store=store, hash_attrs={"n": 2}, **place)
        made.starts = 1
    else:
        made = stage(build, store=store, forced=True, **place)
        made.starts = 1
    assert isinstance(made.build(), ended.Succeeded)
    assert (made.output / "a").read_text() == "new"


@pytest.mark.parametrize("error", [StoreAwayError("away"), StoreError("permission denied")])
def test_a_store_that_takes_no_lease_is_the_infrastructures_fault(
    stage: Callable[..., Stage], error: StoreError
) -> None:
    """Else an outage of a minute uses up the tries of a step, or a wrong name is asked for ever."""

    class Away(LocalStore):
        def put_if_absent(self, path: str, data: bytes) -> str | None:
            raise error

    failed = stage(_write("a"), store=Away()).build()
    assert isinstance(failed, ended.Failed)
    assert failed.cause == ("infra" if isinstance(error, StoreAwayError) else "app")


def test_a_step_that_fails_while_the_store_is_away_has_failed_by_itself(
    stage: Callable[..., Stage], patient: Clock
) -> None:
    """Else its own error is nowhere to be read, and it is tried again as if it had none."""
    store = Outage("replace_if", 0, 1000, is_heard=False)

    def build(output: Path) -> None:
        store.is_over = False
        _fail(output)

    made = stage(build, store=PatientStore(store))
    failed = made.build()
    assert isinstance(failed, ended.Failed)
    assert (failed.cause, failed.message, failed.attempt) == ("app", "ValueError: boom", 1)
    assert patient.now > 1000.0
    store.is_over = True
    made.session.refused.clear()
    again = made.build()
    assert isinstance(again, ended.Failed), "its lease is not waited for"
    assert again.attempt == 2


class Outage(LocalStore):
    """A store that gives no answer to some requests once there is something to commit.

    Args:
        verb: which ones.
        at: the first of them, counted from 0.
        count: how many.
        is_heard: whether what is asked is done all the same.

    """

    def __init__(self, verb: str, at: int, count: int, *, is_heard: bool) -> None:
        super().__init__()
        self.verb, self.lost, self.is_heard = verb, range(at, at + count), is_heard
        self.asked, self.is_over = 0, True

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name != super().__getattribute__("verb") or self.is_over:
            return found

        def ask(*args: Any) -> Any:
            self.asked += 1
            answer = found(*args) if self.asked - 1 not in self.lost or self.is_heard else None
            if self.asked - 1 in self.lost:
                raise StoreAwayError("away")
            return answer

        return ask


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let an attempt wait for its store as if its body had taken 100 seconds."""
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr(
        patient_store, "CommitRetry", lambda _took, called: CommitRetry(100.0, called, clock, sleep)
    )
    return clock


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("is_heard", [False, True])
@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize(
    ("verb", "at"),
    [("files", 0), ("put_if_absent", 0), ("put_if_absent", 1), ("put_if_absent", 2),
     ("replace_if", 0), ("replace_if", 1), ("delete_if", 0)],
)  # fmt: skip
def test_a_result_waits_for_a_store_that_is_away(
    stage: Callable[..., Stage], verb: str, at: int, count: int, is_heard: bool
) -> None:
    """Else an outage of a minute, at the wrong moment, costs a training of a week."""
    store = Outage(verb, at, count, is_heard=is_heard)

    def build(output: Path) -> int:
        _write("a")(output)
        store.is_over = False
        return 1

    made = stage(build, store=PatientStore(store))
    assert isinstance(made.build(), ended.Succeeded)
    assert store.asked > at
    assert len(made.bodies.requests) == 1
    assert (made.output / ".executor_status").read_text() == "SUCCESS"
    assert not (made.output / ".executor_status.lock").exists()
    assert [path.name for path in sorted((made.output / ".logs").glob("*.json"))] == [
        "attempt-0001.json"
    ]


def test_a_store_that_stays_away_is_given_up(stage: Callable[..., Stage], patient: Clock) -> None:
    """Else a run waits for ever, and nothing says for what."""
    store = Outage("replace_if", 0, 1000, is_heard=False)

    def build(output: Path) -> None:
        _write("a")(output)
        store.is_over = False

    made = stage(build, store=PatientStore(store))
    failed = made.build()
    assert isinstance(failed, ended.Failed)
    assert (failed.cause, failed.is_finished) == ("infra", True)
    assert failed.message.endswith(": away")
    assert patient.now == pytest.approx(1100.0)
    assert (
        "away; what is to be written waits, 100 s at most"
        in Path(made.bodies.requests[0].log).read_text()
    )


def test_what_was_to_be_built_elsewhere_is_let_go(stage: Callable[..., Stage]) -> None:
    """Else a step for a TPU fails here, because the one who built it on one gave up."""
    made = stage(_write("a"))
    assert made.build(refusal="needs 4 TPU chips") == ended.Stopped("needs 4 TPU chips")
    assert not made.bodies.requests
    assert not (made.output / ".executor_status.lock").exists()
    assert (made.output / ".executor_status").read_text() == "RUNNING"
    assert made.document().result == "interrupted"
    assert isinstance(made.build(), ended.Succeeded)
    assert made.build(refusal="needs 4 TPU chips") == ended.Reused()


@pytest.mark.parametrize("seconds", [0.0, 100.0])
def test_the_keeper_is_told_when_a_long_step_has_ended_however_it_did(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Else it renews, and at last kills for, a lease that is another's."""
    for step in (_write("a"), _fail):
        times = iter([0.0, seconds, seconds, seconds])
        made = stage(step, output_path_prefix=f"out{step.__name__}")
        with monkeypatch.context() as patch:
            clock = SimpleNamespace(monotonic=functools.partial(next, times), time=lambda: 1.0)
            patch.setattr(attempt, "time", clock)
            patch.setattr(end_attempt, "time", clock)
            made.build()
        assert made.bodies.released == ([0] if seconds else [])


# Sleepers: the machine stands still at any one call to the store, another takes over.


class Sleepy(LocalStore):
    """A store at one of whose calls its user falls asleep, before or after the call's effect."""

    def __init__(self, at: int, when: str, sleep: Callable[[], None]) -> None:
        super().__init__()
        self.at, self.when, self.sleep = at, when, sleep
        self.count, self.slept = 0, False

    def _do(self, call: Callable[[], Any]) -> Any:
        self.count += 1
        mine = self.count == self.at
        if mine and self.when == "before":
            self.slept = True
            self.sleep()
        reply = call()
        if mine and self.when == "after":
            self.slept = True
            self.sleep()
        return reply

    def get(self, path: str) -> Blob | None:
        return self._do(lambda: super(Sleepy, self).get(path))  # type: ignore[no-any-return]

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        return self._do(lambda: super(Sleepy, self).put_if_absent(path, data))  # type: ignore[no-any-return]

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        return self._do(lambda: super(Sleepy, self).replace_if(path, data, version))  # type: ignore[no-any-return]

    def delete_if(self, path: str, version: str) -> bool:
        return self._do(lambda: super(Sleepy, self).delete_if(path, version))  # type: ignore[no-any-return]

    def files(self, folder: str) -> Sequence[File]:
        return self._do(lambda: super(Sleepy, self).files(folder))  # type: ignore[no-any-return]

    def list(self, folder: str) -> list[str]:
        return self._do(lambda: super(Sleepy, self).list(folder))  # type: ignore[no-any-return]


def _take_over(output: Path, clock: Clock) -> Holding | None:
    """Take what nobody renews, as somebody on another machine, and leave a file there."""
    clock.now += 1000.0
    store = LocalStore()
    got = Claimant(
        store, str(output), target="s", lease=Lease("bob@far", 1.0, run="r-2", nonce="bob"),
        is_abandoned=lambda lease: False, clock=clock, now=NOW,
        stale_version=look(store, str(output)).lease_version,
    ).acquire()  # fmt: skip
    if not isinstance(got, Holding):
        return None
    _write("bobs")(output)
    return got


def _commit(holding: Holding) -> None:
    record = Record(
        name="s", target="s", fn=None, attributes={}, fingerprint="f", deep_fingerprint="d",
        payload="{}", code_digest=None, deps=(), run="r-2", attempt=holding.lease.attempt,
        provenance=Provenance(user="bob", host="h", argv=(), python="3", marin_build="0"),
        start="s", end="e", seconds=1.0, exit_code=0, peak_memory_bytes=None,
    )  # fmt: skip
    holding.commit(Publication(record=record, has_artifact=False, manifest=()), NOW)


def _sleep_once(
    stage: Callable[..., Stage], clock: Clock, at: int, when: str, *, again: bool
) -> str | None:
    """Build a target asleep at one call; return how it ended, or None if there is no such call."""
    new: list[Holding] = []
    began_asleep: list[bool] = []

    def build(output: Path) -> None:
        began_asleep.append(store.slept)
        _write("adas")(output)

    def sleep() -> None:
        got = _take_over(made.output, clock)
        new.extend([got] if got is not None else [])

    store = Sleepy(at, when, sleep)
    made = stage(build, store=store, output_path_prefix=f"out{at}")
    if again:
        stage(_fail, output_path_prefix=f"out{at}").build()
    outcome = made.build()
    if not store.slept:
        return None
    if new:
        assert not isinstance(outcome, ended.Succeeded), f"two built it: slept at call {at}"
        assert True not in began_asleep, f"two bodies ran: slept at call {at}"
        assert (made.output / "bobs").exists(), f"cleared another's: slept at call {at}"
        _commit(new[0])
    else:
        assert isinstance(outcome, ended.Succeeded)
    record = Record.from_bytes((made.output / ".executor_info").read_bytes())
    assert record.provenance.user == ("bob" if new else "ada")
    assert (made.output / ".executor_status").read_text() == "SUCCESS"
    assert not (made.output / ".executor_status.lock").exists()
    return type(outcome).__name__


@pytest.mark.parametrize("again", [False, True], ids=["first attempt", "after a failure"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_who_sleeps_at_any_call_clears_nothing_runs_nothing_and_commits_nothing(
    stage: Callable[..., Stage], clock: Clock, when: str, again: bool
) -> None:
    sleeps = (_sleep_once(stage, clock, at, when, again=again) for at in itertools.count(1))
    ends = list(itertools.takewhile(lambda end: end is not None, sleeps))
    assert len(ends) > 8
    assert set(ends) == {"Held", "Stopped", "Succeeded"}


def test_who_slept_while_a_remote_output_was_listed_deletes_nothing(
    stage: Callable[..., Stage], new_store: Callable[[], MemoryStore], clock: Clock
) -> None:
    store = new_store()
    made = stage(lambda output: {"n": 1}, store=store, output_path_prefix="gs://bucket/x")
    output = made.target.output_path
    store.put(f"{output}/.executor_status", b"FAILED")
    store.put(f"{output}/.logs/attempt-0001.json", b"{}")
    store.put(f"{output}/model", b"half")
    files = store.files

    def slowly(folder: str) -> Sequence[File]:
        found = files(folder)
        clock.now += 1000.0
        lease = store.get(f"{output}/.executor_status.lock")
        assert lease is not None
        store.put(f"{output}/.executor_status.lock", Lease("bob", 1.0, nonce="bob").encode())
        return found

    store.files = slowly  # type: ignore[method-assign]
    assert isinstance(made.build(), ended.Stopped)
    assert store.contents[f"{output}/model"] == b"half"
    assert made.bodies.requests == []


def test_code_that_changes_while_the_step_runs(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what two versions of the code made is committed as made by the first."""
    made = stage(_write("a"))
    said = iter(["", "`late.fn`", "`late.fn`"])
    watch = SimpleNamespace(changed=lambda _index: next(said))
    monkeypatch.setattr(made, "session", replace(made.session, code=cast("Any", watch)))
    stopped = made.build()
    assert isinstance(stopped, ended.Stopped)
    assert stopped.message == "code changed while the step ran: `late.fn`"
    assert (made.output / ".executor_status").read_text() == "FAILED"
    assert made.document().message == stopped.message
    waited = made.build()
    assert isinstance(waited, ended.Stopped)
    assert waited.message == "the code of `s` changed since it was loaded: `late.fn`"
    assert len(made.bodies.requests) == 1, "nothing is run with it"


def test_what_is_protected_is_read_only_and_digested(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stage(_write("a/b"), forced=True)
    session = replace(made.session, protect=True, digests=True)
    monkeypatch.setattr(made, "session", session)
    for _ in range(2):
        assert isinstance(made.build(), ended.Succeeded)
        assert (made.output / "a" / "b").stat().st_mode & 0o222 == 0
    publish = made.document(2).publish
    assert publish is not None
    assert list(publish.digests) == ["a/b"]
