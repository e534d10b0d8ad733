"""Every documented way to declare and to run steps: type checkers accept it."""

# pyright: strict
# ruff: noqa: TC003

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from marin_build import (
    ApplyFailedError,
    Artifact,
    DeclaredStep,
    Project,
    ResourceConfig,
    Retries,
    StatusFile,
    StepAlreadyDone,
    StepRunner,
    StepSpec,
    command,
    disk_cache,
    distributed_lock,
    grid,
    remote,
    should_run,
    source,
    step,
    worker_id,
)


@dataclass(frozen=True)
class Vocab:
    size: int


class Metrics(TypedDict):
    loss: float


@step
def words(output: Path, text: str = "a b", corpus: Path | None = None) -> int:
    return len(text.split())


@step()
def vocab(output: str, words: Path, *, size: int = 8) -> Vocab:
    return Vocab(size)


@step(
    name="train/{size}",
    retries=Retries(limit=2),
    tags=["a"],
    resources=ResourceConfig(cpu=2),
    outputs=("m",),
    env_vars={"A": "b"},
    timeout=3,
    version="v1",
    resumable=True,
    budgets={"x": 1},
    code="rebuild",
    description="d",
)
def train(
    output: Path,
    vocab: Vocab,
    words: str,
    size: int,
    parts: Sequence[Path] = (),
    by_name: Mapping[str, Path] | None = None,
) -> Metrics:
    return {"loss": 1.0}


@step
def merge(
    output: Path, parts: list[Path], named: dict[str, Path], maybe: Path | None = None
) -> None:
    pass


def plain(output: Path, size: int) -> dict[str, int]:
    return {"n": size}


named = step(plain, name="plain/{size}", retries=2)
bare = step(plain)
gpu = train.options(
    name="gpu/{size}", resources=ResourceConfig.with_gpu("H100", count=8), retries=1
)


def by_hand(output_path: str) -> None:
    Path(output_path, "x").touch()


def pipeline(sizes: tuple[int, ...] = (1, 2)) -> list[StepSpec]:
    w = words(text="x", corpus=source("a.txt", include="*.txt", exclude=["b"]))
    v = vocab(w, size=3)
    models = [train(vocab=v, words=w, size=size) for size in sizes]
    inline = merge(parts=[words(), words("b")], named={"a": w, "b": v})
    many = train(vocab=v, words=w, size=3, parts=models, by_name={"a": w})
    table = {"a": w}
    again = train(vocab=v, words=w, size=4, by_name=table, parts=tuple(models))
    spec = StepSpec(
        name="spec", fn=by_hand, deps=models, hash_attrs={"n": 1}, tags=["a"], outputs=["x"]
    )
    spec2 = StepSpec(
        name="spec2",
        fn=remote(by_hand, resources=ResourceConfig(cpu=1)),
        deps=[spec, w],
        inputs={"a": source("a.txt")},
    )
    c = command(
        "cat {w} {s} {n} > {output}/a",
        name="c",
        deps={"w": w, "s": spec},
        inputs={"t": source("a.txt")},
        params={"n": 1},
        outputs=["a"],
        retries=3,
    )
    c2 = command(["cat", "{a}"], name="c2", deps=table)
    one_file = w / "folder" / "train.txt"
    c3 = command("cat {a} {b}", name="c3", deps={"a": [w / "a", spec], "b": one_file})
    files = [w / "a", spec / "b"]
    train_on = train.options(name="on-files")(
        vocab=v, words=one_file, size=1, parts=[w / "x", v], by_name={"a": one_file}
    )
    read_files = merge(parts=[*files, w], named={"a": w / "a"}, maybe=w / "b")
    uses_command = vocab(c)
    uses_spec = vocab(words(text=spec.output_path), size=len(w.name) + len(c.fingerprint))
    return [
        inline,
        many,
        again,
        spec,
        spec2,
        c,
        c2,
        c3,
        train_on,
        read_files,
        named(size=3),
        bare(4),
        gpu(vocab=v, words=c, size=1),
        uses_command,
        uses_spec,
        merge([w, c2], {"x": w}, maybe=w),
    ]


def one() -> StepSpec:
    return words()


@step
async def waits(output: Path, words: Path, lr: float = 0.1) -> int:
    return 1


def sweep() -> list[StepSpec]:
    points = grid(lr=[0.1, 0.2], size=range(2))
    made = [waits.options(name=f"waits/{p.name}")(words=words(), lr=p.lr) for p in points]
    named = [waits(words() / "a", **p) for p in grid(lr={"low": 0.1})]
    return [*made, *named, *(bare(**point) for point in grid(size=[1]) if point["size"])]


def lazily() -> Iterator[StepSpec]:
    yield words()


def nested() -> dict[str, list[StepSpec]]:
    return {"a": [words()]}


targets = [words(), vocab(words())]


@disk_cache
def score(text: str) -> int:
    return len(text)


@disk_cache(output_path="x")
def score2(text: str) -> dict[str, int]:
    return {"a": len(text)}


@remote(resources=ResourceConfig(cpu=1))
def away(output_path: str) -> None: ...


def listed() -> list[DeclaredStep]:
    found = [words()]
    found.append(vocab(found[0]))
    return found


@distributed_lock
def locked(output_path: str) -> None: ...


def main() -> None:
    project = Project.of(pipeline)
    plan = project.plan("words")
    try:
        totals = project.apply(jobs=2)
        print(plan, plan.to_build, totals.succeeded, totals.reused)
    except ApplyFailedError as error:
        print([failure.outcome.message for failure in error.failures])
    print(score("a") + 1, score2("b")["a"], worker_id())
    StepRunner().run(targets)
    StepRunner().run([words(), StepSpec(name="x")], max_concurrent=2, dry_run=True)
    loaded: Vocab = Artifact.load(targets[0], Vocab)
    print(loaded.size, StatusFile("x", worker_id()).status, should_run)
    try:
        locked("x")
    except StepAlreadyDone as done:
        print(done.output_path)
    away("x")
