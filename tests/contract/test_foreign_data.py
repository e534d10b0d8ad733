"""Data that no build of ours left is cleared only if a person agreed: in every store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from marin_build import StepSpec
from marin_build.observe.read_obstacles import read_obstacles
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.targets import make_targets
from marin_build.plan.snapshot import NOTHING_SEEN
from marin_build.protocol.acquire import Claimant
from marin_build.protocol.claim_outcomes import Finished, Foreign, Held
from marin_build.protocol.foreign_data import ForeignData, OwnData, find_data
from marin_build.protocol.held_target import Holding
from marin_build.protocol.lease import Lease
from marin_build.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Place


def _take(place: Place, output: str, agreed: str = "") -> Holding | Held | Finished | Foreign:
    return Claimant(
        place.store, output, target="t", now=datetime(2026, 11, 21, tzinfo=UTC),
        lease=Lease("ada@far", 1.0, run="r-1", nonce="n", boot="elsewhere", pid=9),
        is_abandoned=lambda _: False, clock=lambda: 1000.0,
        may_clear=lambda data: data.listing == agreed,
    ).acquire()  # fmt: skip


def _paths(place: Place, output: str) -> list[str]:
    return [file.path for file in place.store.files(output)]


@pytest.mark.parametrize("names", [["ckpt"], ["sub/a", "sub/b"], [".hidden", "x.y"]], ids=" ".join)
def test_foreign_data_is_found_left_and_overwritten_only_as_agreed(
    place: Place, names: list[str]
) -> None:
    """Disk and bucket behave alike: a user moves a prefix and keeps the same promise."""
    output = place.path("train_0123abcd")
    for name in names:
        place.store.put(f"{output}/{name}", b"hours")
    found = find_data(place.store, output)
    assert isinstance(found, ForeignData)
    assert (found.files, found.size) == (len(names), 5 * len(names))
    assert _take(place, output) == Foreign(found)
    assert _paths(place, output) == names
    place.store.put(f"{output}/late", b"x")
    assert isinstance(_take(place, output, found.listing), Foreign)
    place.store.delete([f"{output}/late"])
    holding = _take(place, output, found.listing)
    assert isinstance(holding, Holding)
    assert not holding.is_empty
    assert isinstance(find_data(place.store, output), OwnData)


def test_an_output_that_is_not_there_is_empty(place: Place) -> None:
    """And one whose neighbour's name begins alike."""
    output = place.path("train_0123abcd")
    place.store.put(f"{output}-old/ckpt", b"hours")
    assert find_data(place.store, output) is None
    holding = _take(place, output)
    assert isinstance(holding, Holding)
    assert holding.is_empty


def test_an_output_of_ours_is_taken(place: Place) -> None:
    output = place.path("train_0123abcd")
    for name, data in [("half", b"x"), (".executor_status", b"FAILED")]:
        place.store.put(f"{output}/{name}", data)
    assert isinstance(find_data(place.store, output), OwnData)
    assert isinstance(_take(place, output), Holding)


@pytest.mark.parametrize("is_agreed", [False, True])
def test_a_plan_finds_it(lasting: Place, tmp_path: Path, is_agreed: bool) -> None:
    """Before anything is built: a plan is what a person reviews."""
    steps = [StepSpec(name=name, fn=print) for name in "abc"]
    graph = build_graph([*steps, StepSpec(name="d", fn=print, version="v1")])
    targets = make_targets(graph, Workspace(str(tmp_path), lasting.folder))
    by_name = {target.name: index for index, target in enumerate(targets.all)}
    lasting.store.put(f"{targets.all[by_name['a']].output_path}/ckpt", b"hours")
    lasting.store.put(f"{targets.all[by_name['d']].output_path}/sub/ckpt", b"hours")
    lasting.store.put(f"{lasting.folder}/b_ffffffff/.executor_info", b"an older build")
    seen = dict.fromkeys(range(len(targets)), NOTHING_SEEN)
    overwrite = {by_name["a"]: None} if is_agreed else {}
    read_obstacles(lasting.store, targets, sorted(seen), seen, overwrite, {})
    blocked = {targets.all[i].name for i in seen if seen[i].foreign is not None}
    allowed = {targets.all[i].name for i in seen if seen[i].overwrites is not None}
    assert (blocked, allowed) == (({"d"}, {"a"}) if is_agreed else ({"a", "d"}, set()))
