"""StepRunner: every step once, after what it needs, and no failure that nobody hears of."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from marin_build import (
    STATUS_FAILED,
    STATUS_SUCCESS,
    PreviousTaskFailedError,
    Retries,
    StatusFile,
    StepRunner,
    StepSpec,
    command,
)
from marin_build.errors import (
    FingerprintMismatchError,
    MarinBuildError,
    SpecificationError,
    StepFailedError,
    StoppedError,
    StoreAwayError,
    StoreError,
)
from marin_build.identity.code.digest import code_of
from marin_build.identity.code.document import CodeDocument, code_document, code_document_path
from marin_build.protocol.documents import Record
from marin_build.protocol.layout import STATUS
from marin_build.store.local import LocalStore
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hypothesis.strategies import SearchStrategy

    from marin_build.pipeline.retries import Cause
    from marin_build.store.base import Blob

    Dag = tuple[tuple[int, ...], ...]

PATIENCE = 240.0
"""Seconds after which a test fails if what it waits for has not happened."""


@pytest.fixture(autouse=True)
def _prefix(tmp_path: Path) -> Iterator[None]:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "prefix"))):
        yield


class Pipeline:
    """Makes steps that write down when they run."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def step(self, name: str, *deps: StepSpec, error: BaseException | None = None) -> StepSpec:
        def build(output_path: str) -> None:
            self.ran.append(name)
            if error is not None:
                raise error

        return StepSpec(name=name, fn=build, deps=deps)


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


def _status(step: StepSpec) -> str | None:
    return StatusFile(step.output_path, "w").status


def _batches_read(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """Return the list that takes the paths of each batch of statuses read from now on.

    On a disk of this machine alone, the notes of quick builders are read where no status is.
    """
    batches: list[Sequence[str]] = []
    get_many = LocalStore.get_many

    def noting(self: LocalStore, paths: Sequence[str]) -> list[Blob | None]:
        if statuses := [path for path in paths if path.endswith(f"/{STATUS}")]:
            batches.append(statuses)
        return get_many(self, paths)

    monkeypatch.setattr(LocalStore, "get_many", noting)
    return batches


def _cause(error: BaseException) -> BaseException | None:
    """Return the exception of the first step that failed."""
    failed = error.__cause__
    assert str(failed).startswith("Step failed: ")
    return failed.__cause__ if failed is not None else None


def test_steps_run_after_what_they_need_whatever_their_order(pipeline: Pipeline) -> None:
    a = pipeline.step("a")
    b = pipeline.step("b", a)
    c = pipeline.step("c", b, a)
    StepRunner().run([c, a, b])
    assert pipeline.ran == ["a", "b", "c"]
    StepRunner().run([c, a, b])
    assert pipeline.ran == ["a", "b", "c"]


def test_what_is_needed_is_found_without_being_named(pipeline: Pipeline) -> None:
    StepRunner().run([pipeline.step("c", pipeline.step("b", pipeline.step("a")))])
    assert pipeline.ran == ["a", "b", "c"]


def test_below_a_built_step_nothing_is_built_or_read(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = pipeline.step("deep")
    middle = pipeline.step("middle", deep)
    top = pipeline.step("top", middle)
    StatusFile(middle.output_path, "w").write_status(STATUS_SUCCESS)
    batches = _batches_read(monkeypatch)
    StepRunner().run([middle])
    StepRunner().run([top])
    assert pipeline.ran == ["top"]
    read = [path for batch in batches for path in batch]
    assert not any(path.startswith(deep.output_path) for path in read[:2])


def test_a_generator_may_make_steps_from_what_earlier_ones_left(pipeline: Pipeline) -> None:
    """The runner must start a step before it asks for the next one."""
    first = pipeline.step("first")

    def steps() -> Iterator[StepSpec]:
        yield first
        ends = time.monotonic() + PATIENCE
        while _status(first) != STATUS_SUCCESS:
            assert time.monotonic() < ends
            time.sleep(0.005)
        yield pipeline.step("second", first)

    StepRunner().run(steps())
    assert pipeline.ran == ["first", "second"]


def test_dependents_start_while_the_generator_is_still_busy(pipeline: Pipeline) -> None:
    first = pipeline.step("first")
    second = pipeline.step("second", first)

    def steps() -> Iterator[StepSpec]:
        yield second
        ends = time.monotonic() + PATIENCE
        while _status(second) != STATUS_SUCCESS:
            assert time.monotonic() < ends
            time.sleep(0.005)

    StepRunner().run(steps())
    assert pipeline.ran == ["first", "second"]


def test_a_failure_is_told_with_its_cause_and_what_it_blocks(pipeline: Pipeline) -> None:
    cause = ValueError("the rate is too high")
    train = pipeline.step("train", error=cause)
    evaluate = pipeline.step("eval", train)
    report = pipeline.step("report", evaluate)
    other = pipeline.step("other")
    with pytest.raises(StepFailedError, match=r"1 step\(s\) failed") as caught:
        StepRunner().run([report, other])
    assert isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert str(caught.value.__cause__) == f"Step failed: {train.target_id}"
    assert caught.value.__cause__.__cause__ is cause
    assert caught.value.facts == (
        (train.target_id, "ValueError: the rate is too high"),
        (evaluate.target_id, f"blocked by {train.target_id}"),
        (report.target_id, f"blocked by {evaluate.target_id}"),
    )
    assert sorted(pipeline.ran) == ["other", "train"]
    assert (_status(train), _status(evaluate)) == (STATUS_FAILED, None)


def test_the_first_failure_is_the_cause(pipeline: Pipeline) -> None:
    first, second = ValueError("first"), ValueError("second")
    steps = [pipeline.step("a", error=first), pipeline.step("b", error=second)]
    with pytest.raises(StepFailedError, match=r"2 step\(s\) failed") as caught:
        StepRunner().run(steps, max_concurrent=1)
    assert _cause(caught.value) is first


def test_a_command_that_exits_is_a_failure() -> None:
    with pytest.raises(StepFailedError, match=r"1 step\(s\) failed") as caught:
        StepRunner().run([command("exit 3", name="failing")])
    assert caught.value.facts[0][1] == "exit code 3"


def test_what_comes_after_a_failure_in_a_generator_is_blocked_too(pipeline: Pipeline) -> None:
    failing = pipeline.step("failing", error=ValueError("no"))

    def steps() -> Iterator[StepSpec]:
        yield failing
        ends = time.monotonic() + PATIENCE
        while _status(failing) != STATUS_FAILED:
            assert time.monotonic() < ends
            time.sleep(0.005)
        time.sleep(0.05)
        yield pipeline.step("after", failing)

    with pytest.raises(StepFailedError) as caught:
        StepRunner().run(steps())
    assert caught.value.facts[-1][1] == f"blocked by {failing.target_id}"


def test_what_failed_before_is_run_again_unless_that_is_refused(pipeline: Pipeline) -> None:
    failed = pipeline.step("failed")
    after = pipeline.step("after", failed)
    StatusFile(failed.output_path, "w").write_status(STATUS_FAILED)
    with pytest.raises(PreviousTaskFailedError, match=r"1 step\(s\) failed") as caught:
        StepRunner().run([after], force_run_failed=False)
    assert isinstance(_cause(caught.value), PreviousTaskFailedError)
    assert pipeline.ran == []
    StepRunner().run([after])
    assert pipeline.ran == ["failed", "after"]


def test_a_dry_run_writes_nothing(
    pipeline: Pipeline, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    end = pipeline.step("s0")
    for i in range(1, 3000):  # a chain as long as this must not need recursion
        end = pipeline.step(f"s{i}", end)
    with caplog.at_level("INFO", "marin_build.step_runner"):
        StepRunner().run([end], dry_run=True)
    assert pipeline.ran == []
    assert not (tmp_path / "prefix").exists()
    assert [r.getMessage().split("_")[0] for r in caplog.records[:2]] == [
        "would build s0",
        "would build s1",
    ]
    assert len(caplog.records) == 3000


def test_a_dry_run_refuses_what_a_run_would(pipeline: Pipeline) -> None:
    failed = pipeline.step("failed")
    StatusFile(failed.output_path, "w").write_status(STATUS_FAILED)
    with pytest.raises(PreviousTaskFailedError):
        StepRunner().run([failed], dry_run=True, force_run_failed=False)


@pytest.mark.parametrize("limit", [1, 2])
def test_no_more_steps_run_at_once_than_allowed(limit: int) -> None:
    inside, most = 0, 0
    guard, all_at_once = threading.Lock(), threading.Barrier(limit)

    def build(_: str) -> None:
        nonlocal inside, most
        with guard:
            inside += 1
            most = max(most, inside)
        all_at_once.wait(PATIENCE)
        time.sleep(0.02)  # one too many would come now
        with guard:
            inside -= 1

    StepRunner().run([StepSpec(name=f"s{i}", fn=build) for i in range(6)], max_concurrent=limit)
    assert most == limit


def test_a_step_is_tried_again_as_often_as_its_author_allows() -> None:
    calls: list[int] = []

    def build(_: str) -> None:
        calls.append(1)
        if len(calls) < 3:
            raise ValueError("not yet")

    StepRunner().run([StepSpec(name="a", fn=build, retries=Retries(limit=2, wait=0))])
    assert len(calls) == 3
    calls.clear()
    with pytest.raises(StepFailedError):
        StepRunner().run([StepSpec(name="b", fn=build, retries=Retries(limit=1, wait=0))])


@pytest.mark.parametrize(
    ("error", "on", "tries"),
    [
        (ValueError("x"), ("oom", "infra"), 1), (MemoryError("x"), ("oom",), 3),
        (SystemExit(75), ("infra",), 4), (SystemExit(75), ("app",), 1),
        (SystemExit(3), ("app",), 3),
        (StoreAwayError("away"), ("infra",), 4), (StoreError("denied"), ("infra",), 1),
    ],
)  # fmt: skip
def test_what_is_tried_again_is_what_apply_tries_again(
    error: BaseException, on: tuple[Cause, ...], tries: int
) -> None:
    """Else the same step is tried another number of times inside a program."""
    calls: list[int] = []

    def build(_: str) -> None:
        calls.append(1)
        raise error

    step = StepSpec(name="a", fn=build, retries=Retries(limit=2, on=on, wait=0))
    with pytest.raises(StepFailedError):
        StepRunner().run([step])
    assert len(calls) == tries


def test_equal_steps_are_one_and_others_at_the_same_path_are_refused(pipeline: Pipeline) -> None:
    def build(_: str) -> None:
        pipeline.ran.append("x")

    StepRunner().run([StepSpec(name="a", fn=build), StepSpec(name="a", fn=build)])
    assert pipeline.ran == ["x"]
    with pytest.raises(SpecificationError, match="different code"):
        StepRunner().run([StepSpec(name="b", fn=build), StepSpec(name="b", fn=lambda _: None)])
    with pytest.raises(SpecificationError, match="two different steps both want to be `a@1`"):
        StepRunner().run(
            [
                StepSpec(name="a", fn=build, version="1"),
                StepSpec(name="a", fn=build, version="1", hash_attrs={"x": 1}),
            ]
        )


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (lambda: StepRunner().run([], max_concurrent=0), "`max_concurrent`"),
        (lambda: StepRunner().run([], max_concurrent=1.5), "`max_concurrent`"),  # type: ignore[arg-type]
        (lambda: StepRunner().run(["a"]), "cannot run a str"),  # type: ignore[list-item]
        (lambda: StepRunner().run(StepSpec(name="a")), "one step, not several"),  # type: ignore[arg-type]
        (
            lambda: StepRunner().run([StepSpec(name="a", expected_fingerprint="0")]),
            "but 0 is pinned",
        ),
    ],
)
def test_what_cannot_be_run_is_refused(run: Callable[[], None], says: str) -> None:
    with pytest.raises(MarinBuildError, match=says):
        run()


def _q(q: int, ran: list[int], **options: Any) -> StepSpec:
    """Return a step with a version that runs once for all values of its attribute."""

    def build(_: str) -> int:
        ran.append(q)
        return q

    return StepSpec(name="raw", fn=build, version="v1", hash_attrs={"q": q}, **options)


def test_another_identity_under_a_version_is_reused_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Else a program and `apply` disagree about what a version holds."""
    ran: list[int] = []
    StepRunner().run([_q(1, ran)])
    above = StepSpec(name="above", fn=lambda _: 1, deps=[_q(2, ran)])
    with caplog.at_level("WARNING", "marin_build.step_runner"):
        StepRunner().run([above])
    assert (ran, _status(above)) == ([1], STATUS_SUCCESS)
    assert caplog.messages == [
        "raw@v1 is reused, though its identity changed under version v1: attrs.q 1 -> 2"
    ]


def test_another_identity_under_a_version_is_refused_where_one_is_pinned() -> None:
    """Else who pins what is published gets something else."""
    ran: list[int] = []
    StepRunner().run([_q(1, ran)])
    pinned = _q(2, ran, expected_fingerprint=_q(2, ran).fingerprint)
    above = StepSpec(name="above", fn=lambda _: 1, deps=[pinned])
    with pytest.raises(FingerprintMismatchError, match="`raw@v1` pins its fingerprint"):
        StepRunner().run([above])
    assert (ran, _status(above)) == ([1], None)


@pytest.mark.parametrize("name", [".executor_status", ".executor_info"])
def test_a_damaged_file_is_one_steps_matter(pipeline: Pipeline, name: str) -> None:
    """Else a program that builds a thousand steps builds none for one file."""
    raw = _q(1, [])
    StepRunner().run([raw])
    Path(raw.output_path, name).write_text("{")
    above, other = pipeline.step("above", raw), pipeline.step("other")
    with pytest.raises(StepFailedError) as caught:
        StepRunner().run([above, other])
    assert pipeline.ran == ["other"]
    assert name in str(_cause(caught.value))
    assert dict(caught.value.facts)[above.target_id] == "blocked by raw@v1"


def test_an_error_in_the_generator_ends_the_run_after_what_was_started(pipeline: Pipeline) -> None:
    def steps() -> Iterator[StepSpec]:
        yield pipeline.step("a")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        StepRunner().run(steps())
    assert len(pipeline.ran) <= 1


def test_building_a_step_costs_few_requests(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a bucket every one of them is a round trip."""
    asked: list[str] = []
    names = ["get", "get_many", "put", "put_if_absent", "replace_if", "delete_if", "delete", "list"]
    for name in names:
        method = getattr(LocalStore, name)

        def counted(*args: object, _method: object = method, _name: str = name) -> object:
            asked.append(_name)
            assert callable(_method)
            return _method(*args)

        monkeypatch.setattr(LocalStore, name, counted)
    StepRunner().run([StepSpec(name="a", fn=lambda _: 1)])
    ours = [name for name in asked if name != "put"]  # conditional writes put on a local disk
    notes = "get_many"  # of quick builders, on a local disk alone
    source = "put_if_absent"  # once for all steps of equal code
    assert ours == ["get_many", notes, "put_if_absent", "get", "get", source, "delete_if"]
    assert asked.count("put") == 5  # of the lease, the record, the artifact, SUCCESS and the source


def test_statuses_of_a_chain_are_read_in_few_batches(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = pipeline.step("s0")
    for i in range(1, 1000):
        end = pipeline.step(f"s{i}", end)
    batches = _batches_read(monkeypatch)
    StepRunner().run([end], dry_run=True)
    assert sum(map(len, batches)) == 1000
    assert len(batches) <= 11


def test_random_graphs_are_built_in_order_once(
    dags: SearchStrategy[Dag], tmp_path_factory: pytest.TempPathFactory
) -> None:
    @given(dags)
    def check(dag: Dag) -> None:
        folder = tmp_path_factory.mktemp("dag")
        pipeline, steps = Pipeline(), list[StepSpec]()
        for index, deps in enumerate(dag):
            steps.append(pipeline.step(f"s{index}", *(steps[dep] for dep in deps)))
        with in_workspace(Workspace(str(folder), str(folder))):
            StepRunner().run(reversed(steps), max_concurrent=2)
        place = {name: i for i, name in enumerate(pipeline.ran)}
        assert len(pipeline.ran) == len(dag)
        assert all(place[f"s{dep}"] < place[f"s{i}"] for i, deps in enumerate(dag) for dep in deps)

    check()


def test_who_reads_adopted_data_is_refused_and_the_others_go_on(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    """Else it looks into an output folder that holds no data."""
    raw, own = pipeline.step("raw"), pipeline.step("own")
    for step, place in ((raw, str(tmp_path / "old")), (own, own.output_path)):
        output = Path(step.output_path)
        output.mkdir(parents=True)
        (output / ".executor_status").write_text("SUCCESS")
        record = {"executor_version": "marin_build/1", "adopted_from": place}
        (output / ".executor_info").write_text(json.dumps(record))
    reader = pipeline.step("reader", raw)
    with pytest.raises(StepFailedError, match=r"1 step\(s\) failed") as caught:
        StepRunner().run([pipeline.step("last", reader), reader, pipeline.step("other", own)])
    assert pipeline.ran == ["other"]
    assert isinstance(_cause(caught.value), StoppedError)
    assert f"was adopted from `{tmp_path}/old`" in str(_cause(caught.value))
    assert [fact for fact in caught.value.facts if "blocked by" in fact[1]]


def test_what_it_builds_is_reused_by_a_plan_that_can_say_what_changed_in_its_code() -> None:
    """Else `plan` only says that the code of what a program built has changed, and not where."""

    def build(output_path: str) -> None:
        Path(output_path, "data.json").write_text(json.dumps({"words": 3}))

    built = StepSpec(name="words", fn=build)
    StepRunner().run([built])
    record = Record.from_bytes(Path(built.output_path, ".executor_info").read_bytes())
    code = code_of(build)
    assert (record.code_digest, record.code_document) == (code.digest, code_document(code).key)
    prefix = str(Path(built.output_path).parent)
    kept = Path(code_document_path(prefix, str(record.code_document))).read_bytes()
    assert CodeDocument.from_bytes(kept) == code_document(code)
    assert record.environment is not None
    assert record.environment.python == ".".join(map(str, sys.version_info[:3]))


def test_a_step_that_waits_for_its_next_try_lets_others_go_on(pipeline: Pipeline) -> None:
    """Else a program that runs one step at once stands still while one of them backs off."""
    tries: list[int] = []

    def fails_once(_: str) -> None:
        tries.append(len(pipeline.ran))
        if len(tries) == 1:
            raise ValueError("not yet")

    again = StepSpec(name="again", fn=fails_once, retries=Retries(limit=1, wait=0.2))
    others = [pipeline.step(f"s{i}") for i in range(3)]
    StepRunner().run([again, *others], max_concurrent=1)
    assert tries[0] == 0
    assert tries[1] > 0  # the wait is over: no more than that is promised


def test_a_generator_is_read_step_by_step_and_no_step_twice(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a program of 10,000 steps spends its time with looking at the first ones again."""
    batches = _batches_read(monkeypatch)

    def steps() -> Iterator[StepSpec]:
        end = pipeline.step("s0")
        for i in range(1, 50):
            yield end
            end = pipeline.step(f"s{i}", end)

    StepRunner().run(steps(), dry_run=True)
    read = [path for batch in batches for path in batch]
    assert len(read) == len(set(read)) == 49


def test_what_was_only_below_a_built_step_is_looked_at_once_it_is_wanted(
    pipeline: Pipeline,
) -> None:
    """Else a step that is asked for by name is passed over, because another one did not need it."""
    deep = pipeline.step("deep")
    top = pipeline.step("top", deep)
    StatusFile(top.output_path, "w").write_status(STATUS_SUCCESS)

    def steps() -> Iterator[StepSpec]:
        yield top
        yield deep

    StepRunner().run(steps())
    assert pipeline.ran == ["deep"]


def test_a_step_that_contradicts_an_earlier_one_ends_the_run(pipeline: Pipeline) -> None:
    def steps() -> Iterator[StepSpec]:
        yield _q(1, [])
        yield _q(2, [])

    with pytest.raises(SpecificationError, match="both want to be `raw@v1`") as caught:
        StepRunner().run(steps())
    assert caught.value.consequence is None, "the first one may have run"
