"""The other formats of a graph: read by people in a terminal, and by three other programs."""

from __future__ import annotations

import json

import pytest

from marin_build.emit.graph.picture import Node, Picture
from marin_build.emit.graph.text_formats import as_dot, as_json, as_mermaid
from marin_build.errors import UsageError
from tests.unit.emit.graph.pictures import DIAMOND, node


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
