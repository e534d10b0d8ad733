"""Pictures of pipelines as people have them, of any size, with a target in every state."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from marin_build.emit.graph.details import About, Details
from marin_build.emit.graph.live import LiveTarget
from marin_build.emit.graph.picture import Node, Picture
from marin_build.plan.reasons import Change

if TYPE_CHECKING:
    from marin_build.emit.graph.picture import State

SOURCES = ("arxiv", "books", "c4", "code", "dclm", "finemath", "stackexchange", "wiki")
REASONS: dict[State, str] = {
    "built": "built 2026-11-21 10:20 UTC by ada@host, run r-0a1b2c3d",
    "to build": "never built",
    "stale": "attrs.seq_len 4096 -> 8192",
    "failed": "failed before (attempt 2, 2026-11-21 10:20 UTC by ada@host): out of memory",
    "held": "held by ada@host, run r-0a1b2c3d; renewed 2026-11-21 10:20:00 UTC",
    "blocked": "needs train/large_00000000, which is blocked",
    "later": "waits for split: its steps are known once split is built",
}


class Sketch:
    """Nodes and edges, one after the other."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.edges: list[tuple[int, int]] = []

    def add(
        self, name: str, deps: list[int], state: State = "built", on: str = "", tag: str = ""
    ) -> int:
        """Add a target; return its place."""
        here = len(self.nodes)
        node = Node(
            f"{name}_{here:08x}", name, state, REASONS[state], (tag,) if tag else (), on,
            is_command=here % 5 == 0,
        )  # fmt: skip
        self.nodes.append(node)
        self.edges += [(dep, here) for dep in deps]
        return here

    def picture(self) -> Picture:
        """Return the picture."""
        return Picture(tuple(self.nodes), tuple(self.edges))


def pipeline(size: int) -> Picture:
    """Return shards of several sources, normalised and tokenized, that models are trained on.

    The tokenizer of one source was changed, so that its shards are stale, and what needs them.
    """
    sketch = Sketch()
    rest = 7  # tokenizer, mixture, three models, report, leaderboard
    sources = SOURCES[: max(2, min(len(SOURCES), (size - rest) // 4))]
    shards, mixed = max(1, (size - rest) // (2 * len(sources))), []
    normalised = []
    for source in sources:
        for shard in range(shards):
            name = f"normalise/{source}/shard-{shard:04}" if shards > 1 else f"normalise/{source}"
            normalised.append((source, shard, sketch.add(name, [], tag="data")))
    sample = [place for _, shard, place in normalised if shard == 0]
    tokenizer = sketch.add("tokenizer", sample, "built", tag="data")
    for source, shard, place in normalised:
        name = f"tokenize/{source}/shard-{shard:04}" if shards > 1 else f"tokenize/{source}"
        state: State = "stale" if source == sources[-1] else "built"
        if source == sources[-2]:
            state = "held" if shard == 0 else "to build" if shard == 1 else "built"
        mixed.append(sketch.add(name, [place, tokenizer], state, tag="data"))
    mixture = sketch.add("mixture", mixed, "to build", tag="data")
    models = [
        sketch.add(f"train/{model}", [mixture], "to build", f"v5p-{chips}", "model")
        for model, chips in (("small", 8), ("medium", 64))
    ]
    failed = sketch.add("eval/smoke", [sample[0], tokenizer], "failed", tag="eval")
    while len(sketch.nodes) < size - 1:
        place = len(sketch.nodes)
        models.append(sketch.add(f"eval/task-{place}", models[:1], "to build", tag="eval"))
    sketch.add("report", [*models, failed], "blocked", tag="eval")
    return sketch.picture()


def details_of(picture: Picture) -> list[Details]:
    """Return what a panel says of each node: about as much as of a real one."""
    return [
        Details(
            fingerprint=node.id[-8:] + hashlib.sha256(node.id.encode()).hexdigest()[8:],
            declared=f"pipeline.py:{place % 900 + 1}",
            attributes={"seq_len": 8192, "seed": place, "tokenizer": "llama3"},
            changes=(Change("attrs.seq_len", 4096, 8192, "attrs.seq_len 4096 -> 8192"),)
            if node.state == "stale"
            else (),
            since=f"{node.name}_ffffffff" if node.state == "stale" else "",
            now=LiveTarget(
                description=f"What {node.name} is for.",
                seconds=60.0 + place % 600 if node.state != "built" else None,
                builds=3 if node.state != "built" else 0,
                cost=2.5 if node.resources else None,
                took=30.0 if node.state == "built" else None,
                log=("step 1", "step 2", "MemoryError") if node.state == "failed" else (),
                log_of="end of the log of attempt 2" if node.state == "failed" else "",
            ),
        )
        for place, node in enumerate(picture.nodes)
    ]


def about(picture: Picture) -> About:
    """Return what a page says of the whole."""
    todo = [i for i, node in enumerate(picture.nodes) if node.state != "built"]
    needs = {i: {a for a, b in picture.edges if b == i} for i in todo[-4:]}
    path = [len(picture.nodes) - 1]
    while found := sorted(needs.get(path[0], set()).intersection(todo)):
        path.insert(0, found[0])
    return About(
        title="pipeline.py",
        summary=f"plan p-81c2d3e4: {len(todo)} to build, {len(picture.nodes) - len(todo)} reused",
        engine="kubernetes",
        prefix="gs://bucket/outputs",
        prefix_link="https://console.cloud.google.com/storage/browser/bucket/outputs",
        commands=(
            ("build it", ("marin-build apply ", "")),
            ("build it again", ("marin-build apply --force ", " ", "")),
            ("why, in full", ("marin-build explain ", "")),
        ),
        path=tuple(picture.nodes[place].id for place in path if picture.nodes),
        path_text="about 2.1 h",
    )
