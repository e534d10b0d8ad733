"""The other formats of a graph: read by people in a terminal, and by three other programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from marin_build.emit.graph.picture import Node, Picture, picture_of
from marin_build.emit.graph.text_formats import as_dot, as_json, as_mermaid
from marin_build.errors import UsageError
from marin_build.plan.decisions import make_plan
from marin_build.plan.snapshot import Observed, Snapshot
from tests.unit.emit.graph.pictures import DIAMOND, node

if TYPE_CHECKING:
    from tests.unit.conftest import TargetsOf


def test_json_has_the_keys_that_other_programs_rely_on() -> None:
    document = json.loads(as_json(DIAMOND))
    assert document["nodes"][0] == {
        "id": "raw_1", "name": "raw", "state": "built", "reason": "why", "tags": ["t"],
        "resources": "4 cpu",
    }  # fmt: skip
    assert {"source": "raw_1", "target": "a_1"} in document["edges"]
    assert len(document["edges"]) == 4


def test_names_cannot_break_out_of_a_label() -> None:
    odd = Picture((Node('a"]\\', 'a"];\n', "built", "", (), "", is_command=False),), ())
    assert '"a\\"]\\\\" [label="a\\"];\\n\\nbuilt"' in as_dot(odd)
    assert 'n0["a#34;#93;#59;#10;"]' in as_mermaid(odd)


def test_mermaid_refuses_what_it_cannot_draw() -> None:
    wide = Picture(tuple(node(f"s{i}") for i in range(602)),
                   tuple((0, i) for i in range(1, 502)))  # fmt: skip
    with pytest.raises(UsageError, match="at most 500 edges, and there are 501"):
        as_mermaid(wide)


def test_the_state_of_a_node_is_what_the_plan_decided(targets_of: TargetsOf) -> None:
    targets = targets_of([(), (0,), (), (2,), ()])
    seen = {0: Observed("SUCCESS"), 1: Observed("FAILED"), 2: Observed("FAILED"), 3: Observed()}
    plan = make_plan(targets, Snapshot(seen), [1, 3], rerun_failed=True)
    picture = picture_of(plan, set(range(5)), {4: "SUCCESS"})
    assert [node.state for node in picture.nodes] == [
        "built", "failed", "failed", "to build", "built",
    ]  # fmt: skip
    assert picture.edges == ((0, 1), (2, 3))
    assert picture.layers() == [[0, 2, 4], [1, 3]]
    part = picture_of(plan, {1, 3}, {})
    assert part.edges == ()
