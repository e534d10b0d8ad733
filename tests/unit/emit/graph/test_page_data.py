"""The data of a page says each thing once, and the scripts find the rest again."""

from __future__ import annotations

import hashlib
import json

from marin_build.emit.graph.details import About, Details
from marin_build.emit.graph.live import LiveTarget
from marin_build.emit.graph.page_data import page_data
from marin_build.emit.graph.picture import Node, Picture
from marin_build.plan.reasons import Change
from marin_build.redaction import NOTHING_SECRET, Redactor
from tests.page_reader import nodes_in, rows_in

ABOUT = About(title="t")


def _node(id_: str, name: str, why: str = "never built") -> Node:
    return Node(id_, name, "to build", why, (), "", is_command=False)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_what_is_empty_is_left_out() -> None:
    picture = Picture((_node("raw_1", "raw"), _node("a b_2", "a b")), ((0, 1),))
    first, second = rows_in(page_data(picture, ABOUT, ())["nodes"])
    assert first == {
        "id": "raw_1", "name": "raw", "state": 1, "why": "never built", "kind": "function",
    }  # fmt: skip
    assert second["deps"] == [1], "one place before it"
    assert second["word"] == "'a b_2'", "as a shell reads it"


def test_every_fact_is_found_again() -> None:
    """Else a panel shows the id, the output or the script of another step."""
    names = ["raw", "tokenize/a", "tokenize/b", "v/one", "odd", "s"]
    digests = [_digest(name) for name in names]
    ids = [f"{name}_{digest[:8]}" for name, digest in zip(names, digests, strict=True)]
    ids[3], ids[4] = "v/one@1", "odd_elsewhere"
    details = [
        Details(
            fingerprint=digest, output=f"gs://b/{id_}/{name}", link=f"https://x/{name}",
            script=f"steps/{id_}/step.sh", declared="p.py:3", attributes={"seed": place},
            since=f"{name}_ffffffff" if place else "elsewhere",
            now=LiveTarget(seconds=0.5, took=0.25, cost=2.0),
        )
        for place, (id_, name, digest) in enumerate(zip(ids, names, digests, strict=True))
    ]  # fmt: skip
    edges = ((0, 1), (0, 2), (1, 3), (0, 3), (2, 5), (0, 5), (4, 5))
    nodes = tuple(_node(id_, name) for id_, name in zip(ids, names, strict=True))
    found = nodes_in(json.loads(json.dumps(page_data(Picture(nodes, edges), ABOUT, details))))
    for node, said, id_, name in zip(found, details, ids, names, strict=True):
        assert (node["id"], node["name"]) == (id_, name)
        shown = {"fingerprint", "output", "link", "script", "declared", "since"}
        assert {key: node[key] for key in shown} == {key: getattr(said, key) for key in shown}
        assert node["attrs"] == said.attributes
        assert (node["seconds"], node["took"], node["cost"]) == (0.5, 0.25, 2.0)
    assert [node["deps"] for node in found] == [[], [0], [0], [1, 0], [], [2, 0, 4]]


def test_a_change_of_a_dependency_names_both_ids() -> None:
    """Else the panel of a stale step does not say what made it stale."""
    picture = Picture((_node("a_11111111", "a"), _node("b_22222222", "b")), ((0, 1),))
    changes = (
        Change("attrs.seq_len", 4096, 8192, "why"),
        Change("deps.a", "a_00000000", "a_11111111", "why", "seed 0 -> 1"),
        Change("deps.a", "a_99999999", "a_11111111", "why"),
        Change("deps.z", "z_0", "z_1", "why"),
    )
    details = [Details(since="a_00000000"), Details(changes=changes, since="b_00000000")]
    data = page_data(picture, ABOUT, details)
    assert nodes_in(data)[1]["changes"] == [
        {"path": "attrs.seq_len", "old": 4096, "new": 8192},
        {"path": "deps.a", "old": "a_00000000", "new": "a_11111111", "because": "seed 0 -> 1"},
        {"path": "deps.a", "old": "a_99999999", "new": "a_11111111"},
        {"path": "deps.z", "old": "z_0", "new": "z_1"},
    ]  # fmt: skip
    assert json.dumps(data).count("a_00000000") == 0, "it follows from the dependency"


def test_a_secret_in_two_parts_of_a_text_is_left_out() -> None:
    """Else a name that is cut from an id, or put together again, shows it."""
    redactor = Redactor.for_values({b"b/train_0a0a": b"[TOKEN]", b"ckpt/train": b"[KEY]"})
    picture = Picture((_node("b/train_0a0a0a0a", "b/train"),), ())
    details = [Details(output="gs://x/ckpt/train", script="steps/b/train_0a0a0a0a/step.sh")]
    found = nodes_in(page_data(picture, ABOUT, details, redactor))[0]
    assert found["id"] == "[TOKEN]0a0a"
    assert found["output"] == "gs://x/[KEY]"
    assert found["script"] == "steps/[TOKEN]0a0a/step.sh"


def test_a_page_of_many_stale_steps_is_small() -> None:
    """Else the page is largest when it is needed: after a change that reaches everything."""
    size, width = 5000, 70
    names = [f"stage-{i // width:02}/shard-{i % width:04}" for i in range(size)]
    digests = [_digest(name) for name in names]
    ids = [f"{name}_{digest[:8]}" for name, digest in zip(names, digests, strict=True)]
    old = [f"{name}_{digest[8:16]}" for name, digest in zip(names, digests, strict=True)]
    back = (width, width + 1, width + 9)
    needs = [[i - each for each in back] if i > 2 * width else [] for i in range(size)]
    because = "attrs.seed 0 -> 1"
    details = [
        Details(
            fingerprint=digests[i], declared="pipeline.py:7", attributes={"seed": 1, "index": i},
            changes=tuple(
                Change(f"deps.{names[d]}", old[d], ids[d], because, because) for d in needs[i]
            ),
            since=old[i], script=f"steps/{ids[i]}/step.sh",
            now=LiveTarget(seconds=i % 977 / 8, builds=1),
        )
        for i in range(size)
    ]  # fmt: skip
    nodes = tuple(_node(id_, name, because) for id_, name in zip(ids, names, strict=True))
    edges = tuple((dep, i) for i in range(size) for dep in needs[i])
    data = page_data(Picture(nodes, edges), ABOUT, details, NOTHING_SECRET)
    text = json.dumps(data, separators=(",", ":"))
    assert len(text) < 95 * size, "so that 100,000 steps stay below 10 MB"
    assert text == json.dumps(
        page_data(Picture(nodes, edges), ABOUT, details, NOTHING_SECRET), separators=(",", ":")
    )
