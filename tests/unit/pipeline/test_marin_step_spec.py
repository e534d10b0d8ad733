"""A step has the name, the hash and the path that Marin's own StepSpec gives it.

Else an experiment that is moved here does not find what it has built in its bucket.
"""

from __future__ import annotations

import collections
import enum
import json
import math
import operator
import posixpath
from pathlib import Path
from typing import Any, NamedTuple

from marin_build import StepSpec
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

VECTORS = Path(__file__).parents[2] / "data" / "marin_step_spec" / "vectors.json"
PREFIX = "gs://bucket/base"


class Mode(enum.StrEnum):
    EXACT = "exact"
    FUZZY = "fuzzy"


class Old(str, enum.Enum):  # noqa: UP042 - as experiments have it
    A = "a"
    B = "bé"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 10


class Rate(float, enum.Enum):
    SMALL = 0.1


class Bits(enum.IntFlag):
    R = 4
    W = 2


class T(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "no"


class N(int):
    def __repr__(self) -> str:
        return "no"


class D(float):
    def __repr__(self) -> str:
        return "no"


class Pair(NamedTuple):
    a: int
    b: str


class L(list[int]):
    pass


_KINDS = (Mode, Old, Level, Rate, Bits, T, N, D, Pair, L)
_KNOWN = {**{kind.__name__: kind for kind in _KINDS}, "math": math, "collections": collections}


def _declared(vectors: list[dict[str, Any]]) -> list[StepSpec]:
    steps: list[StepSpec] = []
    for it in vectors:
        deps = [steps[i] for i in it["deps"]]
        attrs = eval(it["attrs"], dict(_KNOWN))
        override = it.get("override_output_path")
        steps.append(StepSpec(it["name"], it.get("output_path_prefix"), deps, attrs, override))
    return steps


def test_names_hashes_and_paths_are_those_that_marin_gives() -> None:
    vectors = json.loads(VECTORS.read_text())["steps"]
    with in_workspace(Workspace("/project", PREFIX)):
        steps = _declared(vectors)
        assert [step.name_with_hash for step in steps] == [it["name_with_hash"] for it in vectors]
        for step, it in zip(steps, vectors, strict=True):
            assert step.hash_id == it["name_with_hash"].rpartition("_")[2]
            assert step.dep_names == [vectors[i]["name_with_hash"] for i in it["deps"]]
            assert step.dep_paths == [steps[i].output_path for i in it["deps"]]
            assert step.output_path == _plain(it["output_path"])


def _plain(path: str) -> str:
    """Return a path of Marin as ours is written: without `./` and a slash at the end."""
    scheme, separator, rest = path.rpartition("://")
    return scheme + separator + posixpath.normpath(rest)


def test_dependencies_are_added_to_as_the_lists_that_they_are_in_marin() -> None:
    """Else a program that gives a step what another one needs, and more, breaks."""
    raw, more = StepSpec("raw"), StepSpec("more")
    deps: Any = StepSpec("train", deps=[raw]).deps
    assert operator.add(deps, [more]) == [raw, more]
    assert operator.add([more], deps) == [more, raw]
    assert operator.add(deps, (more,)) == (raw, more)
    assert StepSpec("train", deps=operator.add(deps, [more])).dep_names == [
        raw.target_id,
        more.target_id,
    ]
