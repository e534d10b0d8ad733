"""Random pipelines, changed at random: what a model predicts is planned, and then done.

The model knows nothing of hashes, statuses or leases. A step's identity is a nested tuple; a target
is built, failed or not there; and what has to run follows from a few rules.
"""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from .support import OUTPUTS

if TYPE_CHECKING:
    from pathlib import Path

    from .support import Project

PIPELINE = """\
import json
from pathlib import Path
from marin_build import StepSpec, source

HERE = Path(__file__).parent
GRAPH = json.loads((HERE / "graph.json").read_text())


def build_of(one, needs, fails):
    def build(output):
        with open(HERE / "ran.txt", "a") as stream:
            stream.write(one["name"] + "\\n")
        if fails:
            raise RuntimeError("as it was asked to")
        read = [Path(step.output_path, "out.txt").read_text() for step in needs]
        text = (HERE / one["source"]).read_text() if one["source"] else ""
        Path(output, "out.txt").write_text(json.dumps([one["name"], one["attr"], text, *read]))
    return build


def pipeline():
    made = []
    for one in GRAPH["steps"]:
        needs = [made[i] for i in one["needs"]]
        made.append(StepSpec(
            name=one["name"],
            fn=build_of(one, needs, one["name"] in GRAPH["failing"]),
            deps=needs,
            hash_attrs={"attr": one["attr"]},
            inputs={"text": source(one["source"])} if one["source"] else {},
        ))
    return [made[i] for i in GRAPH["requested"]]
"""
SOURCES = ("one.txt", "two.txt")
Identity = tuple[object, ...]


@dataclass(frozen=True)
class Step:
    """A step as the author sees it; `needs` are places in the list."""

    name: str
    attr: int
    source: str | None
    needs: tuple[int, ...]


@dataclass
class Model:
    """What the author wrote, what there is, and what follows.

    Args:
        steps: the pipeline, dependencies first.
        requested: places of what `pipeline()` returns.
        texts: content of each source.
        failing: names of the steps that fail.
        forced: places of what is built although it is built.
        built: identity -> the content of the output.
        failed: identities whose newest attempt failed.
        records: identities that were built once, and whose folder is still there.
        tainted: identities that are marked as bad.
        roots: those of them that somebody named.

    """

    steps: list[Step]
    requested: list[int]
    texts: dict[str, str]
    failing: set[str] = field(default_factory=set)
    forced: set[int] = field(default_factory=set)
    built: dict[Identity, str] = field(default_factory=dict)
    failed: set[Identity] = field(default_factory=set)
    records: set[Identity] = field(default_factory=set)
    tainted: set[Identity] = field(default_factory=set)
    roots: set[Identity] = field(default_factory=set)

    def identity(self, i: int) -> Identity:
        """What makes a target itself: no hash, only what it is made of."""
        step = self.steps[i]
        text = self.texts[step.source] if step.source else None
        return (step.name, step.attr, step.source, text, *map(self.identity, step.needs))

    def content(self, i: int) -> str:
        """What a right output holds."""
        step = self.steps[i]
        text = self.texts[step.source] if step.source else ""
        return json.dumps([step.name, step.attr, text, *map(self.content, step.needs)])

    def reached(self) -> set[int]:
        """What is requested, and all that it needs."""
        found = set(self.requested)
        for i in reversed(range(len(self.steps))):
            if i in found:
                found.update(self.steps[i].needs)
        return found

    def rebuilt_anyway(self, i: int) -> bool:
        """Forced, tainted, or downstream of such a one."""
        return i in self.reached() and (
            i in self.forced
            or self.identity(i) in self.tainted
            or any(map(self.rebuilt_anyway, self.steps[i].needs))
        )

    def reused(self, i: int) -> bool:
        """Built, and nobody insists."""
        return self.identity(i) in self.built and not self.rebuilt_anyway(i)

    def looked_at(self) -> list[int]:
        """What is requested, and what something needs that is not simply reused."""
        found = set(self.requested)
        for i in reversed(range(len(self.steps))):
            if i in found and not self.reused(i):
                found.update(self.steps[i].needs)
        return sorted(found)

    def decision(self, i: int) -> tuple[str, str]:
        """What is planned for a step, and the kind of the reason."""
        identity = self.identity(i)
        if self.reused(i):
            return "reuse", "built_before"
        if i in self.forced:
            return "run", "forced"
        if self.rebuilt_anyway(i):
            follows = any(map(self.rebuilt_anyway, self.steps[i].needs))
            is_marked = identity in self.roots or (identity in self.tainted and not follows)
            return "run", "tainted" if is_marked else "cascade"
        if identity in self.failed:
            return "run", "failed_before"
        if identity in self.records:
            return "run", "output_vanished"
        changed = any(name == self.steps[i].name for name, *_ in self.records)
        return "run", "identity_changed" if changed else "never_built"

    def apply(self) -> tuple[list[str], bool]:
        """Build with `-k`; return the names of the steps that run, and whether one failed."""
        ran: list[int] = []
        lost: set[int] = set()
        for i in self.looked_at():
            if self.reused(i):
                continue
            if lost.intersection(self.steps[i].needs):
                lost.add(i)
                continue
            ran.append(i)
            if self.steps[i].name in self.failing:
                lost.add(i)
        for i, identity in [(i, self.identity(i)) for i in ran]:
            if i in lost:
                self.failed.add(identity)
                self.built.pop(identity, None)
            else:
                self.built[identity] = self.content(i)
                self.records.add(identity)
                for marks in (self.failed, self.tainted, self.roots):
                    marks.discard(identity)
        return sorted(self.steps[i].name for i in ran), bool(lost)

    def taint(self, root: int) -> None:
        """Mark a step, and all built ones that were made from it."""
        marked = {root}
        for i in sorted(self.reached()):
            if marked.intersection(self.steps[i].needs) and self.identity(i) in self.built:
                marked.add(i)
        identities = {self.identity(i) for i in marked}
        self.tainted |= identities
        self.roots = (self.roots - identities) | {self.identity(root)}


def _random_model(rng: random.Random) -> Model:
    count = rng.randint(4, 9)
    steps = [
        Step(f"g{i % 3}/s{i}", 0, rng.choice((*SOURCES, None, None)), _some_needs(rng, i, 3))
        for i in range(count)
    ]
    requested = sorted({count - 1, *rng.sample(range(count), rng.randint(0, 2))})
    return Model(steps, requested, dict.fromkeys(SOURCES, "text"))


def _some_needs(rng: random.Random, i: int, most: int) -> tuple[int, ...]:
    return tuple(sorted(rng.sample(range(i), min(i, rng.randint(0, most)))))


def _change(model: Model, rng: random.Random, project: Project) -> str:
    """Change something, in the model and in the project; return what."""
    i = rng.randrange(len(model.steps))
    step, identity = model.steps[i], model.identity(i)
    is_built = identity in model.built and i in model.reached()
    is_good = is_built and identity not in model.tainted
    what = rng.choice(
        ["attr", "source", "needs", "force", "taint", "fail", "remove", "lose", "ask"]
    )
    match what:
        case "attr":
            model.steps[i] = replace(step, attr=rng.randint(0, 2))  # sometimes what it was once
        case "source":
            model.texts[rng.choice(SOURCES)] = rng.choice(["text", "other"])
        case "needs":
            model.steps[i] = replace(step, needs=_some_needs(rng, i, 2))
        case "force":
            model.forced = {i} & model.reached()
        case "taint" if is_built:
            _write(model, project)
            assert project.run("taint", step.name, "--reason", "bad").code == 0
            model.taint(i)
        case "fail":
            model.failing = {step.name}
        case "remove" if is_good:
            shutil.rmtree(_output(project, step.name, model.built.pop(identity)))
            model.records.remove(identity)
        case "lose" if is_good:
            path = _output(project, step.name, model.built.pop(identity))
            (path / ".executor_status").unlink()
        case "ask":
            model.requested = sorted({i, len(model.steps) - 1})
    return f"{what} {step.name}"


def _output(project: Project, name: str, content: str) -> Path:
    """Return the folder of an output that holds this."""
    (found,) = [
        path.parent
        for path in (project.root / OUTPUTS).glob(f"{name}_????????/out.txt")
        if path.read_text() == content
    ]
    return found


def _write(model: Model, project: Project) -> None:
    steps = [asdict(step) for step in model.steps]
    graph = {"steps": steps, "requested": model.requested, "failing": sorted(model.failing)}
    project.write("graph.json", json.dumps(graph))
    for name, text in model.texts.items():
        project.write(name, text)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_predicted_is_planned_and_done(project: Project, seed: int) -> None:
    """Else a plan says one thing and apply does another, or a change is passed over."""
    rng = random.Random(seed)
    model = _random_model(rng)
    project.pipeline(PIPELINE)
    for number in range(7):
        model.forced, model.failing = set(), set()
        changes = [_change(model, rng, project) for _ in range(rng.randint(1, 2))] if number else []
        _write(model, project)
        forced = [word for i in model.forced for word in ("--force", model.steps[i].name)]
        planned = project.run("plan", "--json", *forced).document
        decisions = {
            each["name"]: (each["decision"], each["reasons"][0]["kind"])
            for each in planned["decisions"]
            if each["decision"] != "pruned"  # listed, as their code is not what built them
        }
        predicted = {model.steps[i].name: model.decision(i) for i in model.looked_at()}
        assert decisions == predicted, (number, changes)
        before = Counter(project.counts())
        applied = project.run("apply", "-k", "-q", *forced)
        ran, has_failed = model.apply()
        assert Counter(project.counts()) - before == Counter(ran), (number, changes)
        assert applied.code == int(has_failed)
        for i in model.looked_at():
            if model.identity(i) in model.built:
                _output(project, model.steps[i].name, model.content(i))
