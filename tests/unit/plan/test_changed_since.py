"""What changed since a target was built."""

from __future__ import annotations

import json
from dataclasses import replace

from marin_build import StepSpec
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.targets import Targets, make_targets
from marin_build.plan import reasons as why
from marin_build.plan.changed_since import change_since
from marin_build.plan.nearest_build import Neighbours
from marin_build.plan.snapshot import Earlier
from marin_build.protocol.record_reader import Built
from marin_build.workspace.workspace import Workspace

V1 = StepSpec("raw", version="v1", hash_attrs={"n": 1})
V2 = StepSpec("raw", version="v2", hash_attrs={"n": 1})


def _targets(*steps: StepSpec) -> Targets:
    return make_targets(build_graph(steps), Workspace("/project", "/project/outputs"))


def _earlier(step: StepSpec) -> Earlier:
    built = Built(step.fingerprint, "r-1", "ada@host", "2026", target=step.target_id)
    return Earlier(built, json.loads(step.payload))


def _since(step: StepSpec, *earlier: Earlier) -> object:
    return change_since(_targets(step), 0, earlier, lambda _: None, Neighbours())


def test_another_version_of_an_unchanged_step_is_no_lost_output() -> None:
    """Else a new version of a data set is told as one whose status is gone."""
    assert isinstance(_since(V1, _earlier(V1)), why.OutputVanished)
    found = _since(V2, _earlier(V1))
    assert isinstance(found, why.IdentityChanged)
    assert [change.text for change in found.changes] == ["version v1 -> v2"]


def test_a_record_that_names_no_target_is_that_of_its_fingerprint() -> None:
    old = _earlier(V1)
    nameless = replace(old, built=replace(old.built, target=""))
    assert isinstance(_since(V1, nameless), why.OutputVanished)


def test_the_cause_is_found_behind_the_name_that_a_plain_step_has_for_an_artifact() -> None:
    """Else a plan does not say why an evaluation is run again."""
    recipe = StepSpec("m", version="v1", fingerprint_payload="{}", hash_attrs={"fingerprint": "b"})
    older = StepSpec("m", version="v1", fingerprint_payload="{}", hash_attrs={"fingerprint": "a"})
    now, then = StepSpec("eval", deps=[recipe]), StepSpec("eval", deps=[older])
    targets = _targets(now)
    change = why.Change("attrs.lr", 1, 2, "attrs.lr 1 -> 2")
    root = why.IdentityChanged((change,), "m@v1", "r-1", "ada@host", "2026")
    index = targets.by_id[now.target_id]
    found = change_since(
        targets, index, [_earlier(then)], {targets.by_id["m@v1"]: root}.get, Neighbours()
    )
    assert isinstance(found, why.IdentityChanged)
    assert found.changes[0].because == "attrs.lr 1 -> 2"
