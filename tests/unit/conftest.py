"""Builders and stand-ins the unit tests share, as fixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest
from hypothesis import strategies as st

from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.source_digests import forget_digests
from marin_build.pipeline.step_spec import StepSpec
from marin_build.pipeline.targets import make_targets
from marin_build.store.base import Blob, File
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from hypothesis.strategies import SearchStrategy

    from marin_build.pipeline.targets import Targets

WORKSPACE = Workspace("/project", "/project/outputs")

Dag = tuple[tuple[int, ...], ...]
"""For each node the nodes it needs, all of them earlier."""


@pytest.fixture(autouse=True)
def workspace() -> Iterator[Workspace]:
    """Put one workspace in force, on no disk; forget what was read from sources."""
    with in_workspace(WORKSPACE):
        yield WORKSPACE
    forget_digests()


def _build(output_path: str) -> None:
    """Stand for the work of a step."""


class TargetsOf(Protocol):
    """Makes targets `s0`, `s1` ... whose indices are those of the graph given."""

    def __call__(
        self,
        dag: Sequence[Sequence[int]],
        *,
        unbuildable: AbstractSet[int] = ...,
        dev: AbstractSet[int] = ...,
    ) -> Targets: ...


def _targets_of(
    dag: Sequence[Sequence[int]],
    *,
    unbuildable: AbstractSet[int] = frozenset(),
    dev: AbstractSet[int] = frozenset(),
) -> Targets:
    steps: list[StepSpec] = []
    for index, deps in enumerate(dag):
        steps.append(
            StepSpec(
                name=f"s{index}",
                fn=None if index in unbuildable else _build,
                deps=[steps[dep] for dep in deps],
                version="dev" if index in dev else None,
                declared=("pipeline.py", index + 1),
            )
        )
    return make_targets(build_graph(steps), WORKSPACE)


@pytest.fixture(scope="session")
def targets_of() -> TargetsOf:
    """Return the maker of targets."""
    return _targets_of


@pytest.fixture(scope="session")
def make() -> Callable[..., Targets]:
    """Return what makes targets of steps, in the workspace of the tests."""
    return lambda *steps: make_targets(build_graph(steps), WORKSPACE)


@st.composite
def _dags(draw: st.DrawFn, max_size: int = 10) -> Dag:
    size = draw(st.integers(1, max_size))
    needs = [st.sets(st.integers(0, max(i - 1, 0)), max_size=min(i, 3)) for i in range(size)]
    return tuple(tuple(sorted(draw(need))) for need in needs)


@pytest.fixture(scope="session")
def dags() -> SearchStrategy[Dag]:
    """Return random graphs without cycles."""
    return _dags()


class MemoryStore:
    """A store in memory that remembers what it was asked for, batch by batch."""

    conditional = True
    is_local = True

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.versions: dict[str, str] = {}
        self.writes = 0
        self.batches: list[list[str]] = []

    @property
    def read(self) -> set[str]:
        """Every path that was asked for."""
        return {path for batch in self.batches for path in batch}

    def get(self, path: str) -> Blob | None:
        self.batches.append([path])
        return self._blob(path)

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        if paths:
            self.batches.append(list(paths))
        return [self._blob(path) for path in paths]

    def put(self, path: str, data: bytes) -> str:
        self.contents[path] = data
        self.writes += 1
        self.versions[path] = f"v{self.writes}"
        return self.versions[path]

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        return None if path in self.contents else self.put(path, data)

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        found = self._blob(path)
        return self.put(path, data) if found and found.version == version else None

    def delete_if(self, path: str, version: str) -> bool:
        found = self._blob(path)
        if found is None or found.version != version:
            return False
        del self.contents[path]
        return True

    def list(self, folder: str) -> list[str]:
        start = folder + "/"
        return sorted({p[len(start) :].split("/")[0] for p in self.contents if p.startswith(start)})

    def folders(self, start: str) -> Sequence[str]:
        rest = {p[len(start) :] for p in self.contents if p.startswith(start)}
        return sorted({start + name.partition("/")[0] for name in rest if "/" in name})

    def files(self, folder: str) -> Sequence[File]:
        start = folder + "/"
        found = self.contents.items()
        return sorted(File(p[len(start) :], len(d)) for p, d in found if p.startswith(start))

    def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            self.contents.pop(path, None)

    def _blob(self, path: str) -> Blob | None:
        data = self.contents.get(path)
        return None if data is None else Blob(data, self.versions.get(path, "v0"))


@pytest.fixture(scope="session")
def new_store() -> Callable[[], MemoryStore]:
    """Return what makes empty stores."""
    return MemoryStore
