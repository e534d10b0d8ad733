"""Which outputs are looked at before something is built from them, and what follows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec
from marin_build.observe.read_snapshot import observe
from marin_build.plan import block_reasons as blocks
from marin_build.plan import reasons as why
from marin_build.plan.decide import make_plan
from marin_build.plan.decisions import Kind
from marin_build.protocol.lease import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.decisions import Plan
    from tests.unit.conftest import MemoryStore

HOST = Host("me@here", "here")
RAW, TOKENS, TRAIN = 0, 1, 2


class World:
    """A chain of three: the first two are built."""

    def __init__(self, store: MemoryStore, targets: Targets) -> None:
        self.store, self.targets = store, targets
        self.listed: list[str] = []
        files = store.files

        def listing(folder: str) -> Any:
            self.listed.append(folder)
            return files(folder)

        store.files = listing  # type: ignore[method-assign]
        for index in (RAW, TOKENS):
            self.commit(index)

    def commit(self, index: int, **facts: Any) -> None:
        target = self.targets.all[index]
        record = {
            "executor_version": "marin_build/1", "fingerprint": target.fingerprint, "run": "r-1",
            "provenance": {"user": "ada", "host": "h"}, "end": "2026", "attempt": 1, **facts,
        }  # fmt: skip
        publish = {
            "record": record, "manifest": [{"path": "a", "size": 3}], "has_artifact": False,
        }  # fmt: skip
        attempt = {"result": "succeeded", "run": "r", "worker": "w", "publish": publish}
        self.store.contents |= {
            self.path(index, ".executor_status"): b"SUCCESS",
            self.path(index, ".executor_info"): json.dumps(record).encode(),
            self.path(index, ".logs/attempt-0001.json"): json.dumps(attempt).encode(),
            self.path(index, "a"): b"abc",
        }

    def path(self, index: int, name: str) -> str:
        return f"{self.targets.all[index].output_path}/{name}"

    def plan(self, *forced: int, wanted: Sequence[int] = (TRAIN,)) -> Plan:
        snapshot = observe(self.store, self.targets, wanted, frozenset(forced), HOST, losses=True)
        return make_plan(self.targets, snapshot, wanted, forced=forced)

    def kinds(self, plan: Plan) -> dict[int, Kind]:
        return {decision.index: decision.kind for decision in plan.decisions}


@pytest.fixture
def world(make: Callable[..., Targets], new_store: Callable[[], MemoryStore]) -> World:
    raw = StepSpec(name="raw", fn=print)
    tokens = StepSpec(name="tokens", fn=print, deps=[raw])
    return World(new_store(), make(StepSpec(name="train", fn=print, deps=[tokens])))


def test_only_what_feeds_a_step_is_listed(world: World) -> None:
    """Else a plan with nothing to do lists every output."""
    plan = world.plan()
    assert world.kinds(plan) == {TOKENS: Kind.REUSE, TRAIN: Kind.RUN}
    assert world.listed == [world.path(TOKENS, "").rstrip("/")]
    assert plan.snapshot.manifests == {TOKENS: (("a", 3),)}
    world.commit(TRAIN)
    world.listed.clear()
    assert world.kinds(world.plan()) == {TRAIN: Kind.REUSE}
    assert world.listed == []


@pytest.mark.parametrize("data", [None, b"", b"ab"])
@pytest.mark.parametrize("is_first_gone", [True, False])
def test_what_lost_data_is_built_again(
    world: World, data: bytes | None, is_first_gone: bool
) -> None:
    """Else the consumer is built from 0 bytes; and what the lost one needs is not asked for."""
    world.store.contents.pop(world.path(TOKENS, "a"))
    if data is not None:
        world.store.contents[world.path(TOKENS, "a")] = data
    if is_first_gone:
        del world.store.contents[world.path(RAW, "a")]
    plan = world.plan()
    raw = Kind.RUN if is_first_gone else Kind.REUSE
    assert world.kinds(plan) == {RAW: raw, TOKENS: Kind.RUN, TRAIN: Kind.RUN}
    reason = plan.decisions[1].reason
    assert isinstance(reason, why.OutputVanished)
    assert reason.run == "r-1"
    lost = "`a` is missing" if data is None else f"`a` has {len(data)} B, not 3 B"
    assert reason.lost == (lost,)
    assert TOKENS in plan.rebuilt_anyway, "its status says SUCCESS"


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a", b"abcd", "`a` has 4 B, not 3 B"),
        ("b", b"", "`b` is new"),
        (".changed", b"`a` was written while `x` ran", "`a` was written while `x` ran"),
    ],
)
def test_what_was_changed_is_a_persons_to_decide(
    world: World, name: str, data: bytes, said: str
) -> None:
    """Else it is built from; or days of training are deleted because a note was added."""
    world.store.contents[world.path(TOKENS, name)] = data
    plan = world.plan()
    assert world.kinds(plan) == {TOKENS: Kind.BLOCKED, TRAIN: Kind.BLOCKED}
    assert plan.decisions[0].reason == blocks.OutputAltered((said,))
    assert world.kinds(world.plan(TOKENS, wanted=[TOKENS]))[TOKENS] is Kind.RUN


@pytest.mark.parametrize("names", [(".cache",), (".logs/x",), ("sub/.executor_status", "sub/data")])
def test_what_is_not_its_data_does_not_count(world: World, names: Sequence[str]) -> None:
    world.store.contents |= {world.path(TOKENS, name): b"x" for name in names}
    assert world.kinds(world.plan())[TOKENS] is Kind.REUSE


def test_adopted_data_is_compared_when_the_run_begins(world: World) -> None:
    """Else it is listed twice, or built over."""
    world.commit(TOKENS, adopted_from="gs://elsewhere/x")
    assert world.kinds(world.plan())[TOKENS] is Kind.REUSE
    assert world.listed == []


@pytest.mark.parametrize("outputs", [["a"], None])
def test_what_marin_built_must_hold_what_is_declared(
    make: Callable[..., Targets],
    new_store: Callable[[], MemoryStore],
    outputs: Sequence[str] | None,
) -> None:
    """Marin writes no manifest."""
    raw = StepSpec(name="raw", fn=print, outputs=outputs)
    targets = make(StepSpec(name="train", fn=print, deps=[raw]))
    store = new_store()
    store.contents[f"{targets.all[0].output_path}/.executor_status"] = b"SUCCESS"
    snapshot = observe(store, targets, [1], frozenset(), HOST, losses=True)
    kinds = [decision.kind for decision in make_plan(targets, snapshot, [1]).decisions]
    assert kinds == [Kind.RUN if outputs else Kind.REUSE, Kind.RUN]
