"""Selectors and steps that are not known yet: nothing is built that nobody asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from marin_build import StepSpec
from marin_build.errors import NotFoundError
from marin_build.pipeline.targets import LaterTargets
from marin_build.plan.later_selection import selected_later, what_waits
from marin_build.plan.selection import matches_of, select

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.later_selection import Unknown


@pytest.fixture
def targets(make: Callable[..., Targets]) -> Targets:
    """Raw -> split; `shards` waits for split; `ready` has given part and merge; `other` waits."""
    raw = StepSpec("raw")
    split = StepSpec("split", deps=[raw])
    part = StepSpec("part/0", deps=[split])
    merge = StepSpec("merge", deps=[part], tags=["last"])
    made = make(split, merge)
    at = {target.name: index for index, target in enumerate(made.all)}
    return replace(
        made,
        later=(
            LaterTargets("shards", "p.py:1", (at["split"],), None),
            LaterTargets("ready", "p.py:2", (at["split"],), (at["merge"],)),
            LaterTargets("other", "p.py:3", (at["raw"],), None),
        ),
    )


def _selected(targets: Targets, unknown: Unknown, *selectors: str) -> str:
    return " ".join(targets.all[i].name for i in select(targets, selectors, unknown=unknown))


def _later(targets: Targets, *selectors: str) -> str:
    found = selected_later(
        targets, selectors, lambda term: matches_of(targets, term, None, None, None)
    )
    return " ".join(targets.later[index].name for index in found)


@pytest.mark.parametrize(
    ("selectors", "build", "left_out", "later"),
    [
        ([], "split merge", "split merge", "shards ready other"),
        (["raw"], "raw", "raw", ""),
        (["shards"], "split", "", "shards"),
        (["ready"], "split merge", "merge", "ready"),
        (["count/*"], "raw split", "", "shards other"),
        (["tag:small"], "raw split", "", "shards other"),
        (["tag:last"], "merge", "merge", ""),
        (["raw", "count/1"], "raw split", "raw", "shards other"),
        (["split+"], "split part/0 merge", "split part/0 merge", "shards ready"),
        (["^shards"], "raw split part/0 merge", "raw split part/0 merge", "ready other"),
        (["^ready"], "raw split", "raw split", "shards other"),
        (["^count/*"], "raw split part/0 merge", "raw split part/0 merge", "shards ready other"),
    ],
)
def test_what_is_asked_for(
    targets: Targets, selectors: list[str], build: str, left_out: str, later: str
) -> None:
    assert _selected(targets, "build", *selectors) == build
    assert _selected(targets, "leave out", *selectors) == left_out
    assert _later(targets, *selectors) == later


def test_a_command_about_known_steps_says_what_is_not_known(targets: Targets) -> None:
    """Else a person thinks that a step is gone."""
    waits = "`shards` waits for `split`; `other` waits for `raw`"
    assert what_waits(targets) == waits
    with pytest.raises(NotFoundError) as caught:
        select(targets, ["count/1"])
    assert ("not known yet", waits) in caught.value.facts
    with pytest.raises(NotFoundError, match="`shards` is an expansion"):
        select(targets, ["shards"])
    known = replace(targets, later=targets.later[1:2])
    for unknown in ("build", "leave out", "refuse"):
        with pytest.raises(NotFoundError, match="no step is called"):
            select(known, ["count/1"], unknown=unknown)
