"""A bucket that Marin filled is work that is paid for: it is read, and nothing is built again."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from marin_build import Artifact, StatusFile, StepRunner, StepSpec
from marin_build.errors import StoreError
from marin_build.observe.read_snapshot import observe
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.targets import make_targets
from marin_build.plan.decide import make_plan
from marin_build.protocol.lease import Host
from marin_build.store.open_store import open_store
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

MARIN = Path(__file__).parents[2] / "data" / "marin"
BUILT = {
    "raw/dclm": "raw/dclm-1a2b3c",
    "tokenized/dclm": "tokenized/dclm_0f1e2d3c",
    "models/tiny": "models/tiny_4b5a6978",
    "evals/tiny": "evals/tiny/2026.03.01",
    "checkpoints/tiny": "checkpoints/tiny/2026.03.01",
}
NOT_BUILT = {"queued/eval": "queued/eval-77aa00", "failed/dedup": "failed/dedup_99887766"}


@dataclass
class Tokens:
    path: str
    num_tokens: int


@pytest.fixture
def prefix(tmp_path: Path) -> Iterator[Path]:
    prefix = tmp_path / "bucket"
    shutil.copytree(MARIN, prefix)
    with in_workspace(Workspace(str(tmp_path), str(prefix))):
        yield prefix


def _steps(prefix: Path, folders: dict[str, str]) -> list[StepSpec]:
    return [
        StepSpec(name=name, fn=_refuse, override_output_path=str(prefix / folder))
        for name, folder in folders.items()
    ]


def _refuse(output_path: str) -> None:
    raise AssertionError(f"{output_path} was built again")


def test_what_marin_built_plans_as_done(prefix: Path) -> None:
    workspace = Workspace(str(prefix.parent), str(prefix))
    targets = make_targets(build_graph(_steps(prefix, BUILT)), workspace)
    requested = targets.requested
    store = open_store(str(prefix))
    snapshot = observe(store, targets, requested, set(), Host("a", "b"))
    assert make_plan(targets, snapshot, requested).summary()["reuse"] == len(BUILT)


def test_what_marin_built_is_not_run(prefix: Path) -> None:
    StepRunner().run(_steps(prefix, BUILT))


@pytest.mark.parametrize("folder", BUILT.values())
def test_marins_statuses_are_read(folder: str) -> None:
    assert StatusFile(str(MARIN / folder), "w").status == "SUCCESS"


def test_a_step_that_was_only_queued_is_not_built() -> None:
    assert StatusFile(str(MARIN / NOT_BUILT["queued/eval"]), "w").status is None


def test_marins_lock_is_taken_for_held_until_it_stood_still_long_enough() -> None:
    file = StatusFile(str(MARIN / NOT_BUILT["failed/dedup"]), "w")
    assert file.status == "FAILED"
    assert file.has_active_lock()
    assert not file.try_acquire_lock()


@pytest.mark.parametrize(
    ("name", "tokens"), [("tokenized/dclm", 3_700_000_000), ("models/tiny", 12), ("evals/tiny", 99)]
)
def test_marins_artifacts_are_loaded(name: str, tokens: int) -> None:
    path = str(MARIN / BUILT[name])
    assert Artifact.load(path)["num_tokens"] == tokens
    assert Artifact.load(path, Tokens).num_tokens == tokens


def test_an_output_of_marin_without_a_value_has_no_artifact() -> None:
    with pytest.raises(StoreError, match="no artifact at"):
        Artifact.load(str(MARIN / BUILT["checkpoints/tiny"]), Tokens)
