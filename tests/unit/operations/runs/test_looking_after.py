"""What commands that look after targets do, as values: for notebooks, and nothing on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.apply.events import StepEnded
from marin_build.errors import StepFailedError, StoppedError, UsageError
from marin_build.operations.building.run import run_target
from marin_build.operations.building.run_step import run_step
from marin_build.operations.loading.loading import load
from marin_build.operations.loading.options import PipelineOptions
from marin_build.operations.marks.accept import accept_drift
from marin_build.operations.marks.adopt import adopt_target
from marin_build.operations.marks.taint import taint_targets, untaint_targets
from marin_build.operations.marks.unlock import unlock_target
from marin_build.operations.outputs.verify import verify_targets
from marin_build.operations.runs.logs import copy_attempt_log, list_attempts
from marin_build.operations.runs.status import read_status
from marin_build.plan.outcomes import Succeeded
from marin_build.plan.target_state import State
from marin_build.protocol.log_format import without_stamps

if TYPE_CHECKING:
    from pathlib import Path

    from marin_build.apply.events import Event
    from marin_build.operations.loading.loading import Loaded
    from marin_build.operations.marks.taint import TaintedTargets

PIPELINE = """\
from marin_build import command

raw = command("echo said; echo 1 > {output}/x", name="raw")
end = command("cat {raw}/x > {output}/x", name="end", deps={"raw": raw})
ill = command("exit 75", name="ill")
targets = [end, ill]
"""


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PipelineOptions:
    monkeypatch.delenv("MARIN_PREFIX", raising=False)
    (tmp_path / "marin-build.toml").write_text("")
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    return PipelineOptions(file=str(tmp_path / "pipeline.py"))


@pytest.fixture
def loaded(options: PipelineOptions) -> Loaded:
    """A pipeline in which nothing is built."""
    return load(options)


@pytest.fixture
def built(loaded: Loaded) -> Loaded:
    """The same; `raw` and what is made of it are built."""
    for name in ("raw", "end"):
        assert run_step(loaded, _id(loaded, name), on_event=_ignore).exit_code == 0
    return loaded


def _id(loaded: Loaded, name: str) -> str:
    (found,) = (target.id for target in loaded.targets.all if target.name == name)
    return found


def _ignore(_: Event) -> None:
    """Take an event."""


def _states(loaded: Loaded) -> dict[str, State]:
    read = read_status(loaded)
    return {loaded.targets.all[index].name: each.state for index, each in read.states.items()}


def test_a_step_that_failed_says_why_to_what_runs_it(
    loaded: Loaded, capfd: pytest.CaptureFixture[str]
) -> None:
    """Else a program cannot tell a bad step from a bad machine without reading text."""
    events: list[Event] = []
    ran = run_step(loaded, _id(loaded, "ill"), once=True, on_event=events.append)
    assert (ran.exit_code, ran.finished.failed) == (75, 1)
    assert [event.name for event in events if isinstance(event, StepEnded)] == ["ill"]
    assert _states(loaded)["ill"] is State.FAILED
    assert tuple(capfd.readouterr()) == ("", "")


def test_what_is_built_can_be_looked_at(built: Loaded, capfd: pytest.CaptureFixture[str]) -> None:
    """Else a notebook has to start programs, and to read what they print."""
    assert _states(built) == {"raw": State.BUILT, "end": State.BUILT, "ill": State.NOT_BUILT}
    verified = verify_targets(built, ["raw", "end"])
    assert verified.is_intact
    assert [each.files for each in verified.outputs] == [1, 1]
    assert unlock_target(built, "raw").lease is None
    (attempt,) = list_attempts(built, "raw")
    assert attempt.ended is not None
    assert (attempt.number, attempt.others, attempt.ended.result) == (1, 0, "succeeded")
    log = bytearray()
    seen = copy_attempt_log(built, "raw", write=log.extend, on_attempt=lambda _: log.extend(b"#"))
    assert without_stamps(bytes(log[1:])) == b"said\n"
    assert log.startswith(b"#"), "first whose log it is, then the log"
    assert seen == attempt
    assert accept_drift(built, ["raw"], "as before").accepted == ()
    assert tuple(capfd.readouterr()) == ("", "")


def test_what_is_tainted_is_not_called_built(built: Loaded) -> None:
    """Else a user reads `built` of what the next apply builds again."""
    taint_targets(built, ["raw"], "wrong dump")
    assert _states(built) == {"raw": State.TAINTED, "end": State.TAINTED, "ill": State.NOT_BUILT}
    untaint_targets(built, ["raw"])
    assert _states(built) == {"raw": State.BUILT, "end": State.BUILT, "ill": State.NOT_BUILT}


def test_what_is_tainted_is_known_before_it_is_marked(built: Loaded) -> None:
    """Else a notebook marks what was made from it without a look at how much that is."""
    raw, end = (built.targets.by_id[_id(built, name)] for name in ("raw", "end"))

    def refuse(found: TaintedTargets) -> None:
        assert found.roots == {raw: (raw,), end: (raw,)}
        assert found.ends == ("end",)
        assert found.plan.to_build == (raw, end)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        taint_targets(built, ["raw"], "bad", on_found=refuse)
    taint_targets(built, ["raw"], "bad", dry_run=True)
    assert untaint_targets(built, ["raw"], dry_run=True).marks == {}

    taint_targets(built, ["raw"], " bad ")
    marks = untaint_targets(built, ["raw"], dry_run=True).marks
    assert {id_: taint.reason for id_, taint in marks.items()} == {
        _id(built, "raw"): "bad", _id(built, "end"): f"made from {_id(built, 'raw')}: bad",
    }  # fmt: skip
    assert set(untaint_targets(built, ["raw"]).free) == set(marks)
    with pytest.raises(UsageError, match="a taint needs a reason"):
        taint_targets(built, ["raw"], " ")


def test_data_is_adopted_once(loaded: Loaded, tmp_path: Path) -> None:
    """Else a program that adopts each time it starts fails the second time."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "x").write_text("1\n")
    place = str(tmp_path / "old")
    for already in (False, True):
        found = adopt_target(loaded, "raw", place, "from before", on_event=_ignore)
        assert (found.target.name, found.already) == ("raw", already)
        assert (found.record.adopted_from, found.record.files) == (place, 1)
    with pytest.raises(UsageError, match="stands for 3 targets; one is adopted at a time"):
        adopt_target(loaded, "*", on_event=_ignore)


def test_one_target_is_run_alone(loaded: Loaded, options: PipelineOptions) -> None:
    """Else a notebook cannot tell what is missing, what failed and what was built before."""
    with pytest.raises(StoppedError) as missing:
        run_target(loaded, "end", options, on_event=_ignore)
    assert dict(missing.value.facts)["missing"] == _id(loaded, "raw")
    assert missing.value.hint == (
        f"build them first: marin-build apply -f {options.file} {_id(loaded, 'raw')}"
    )
    ran = run_target(loaded, "raw", options, on_event=_ignore)
    assert isinstance(ran.outcome, Succeeded)
    assert run_target(loaded, "raw", options, on_event=_ignore).outcome is None
    with pytest.raises(StepFailedError, match="`ill` failed with exit code 75"):
        run_target(loaded, "ill", options, on_event=_ignore)
