"""Prefixes that hold nothing: a plan must be the same as if every target had been asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest import mock

import pytest

from marin_build import StepSpec
from marin_build.observe import read_renames, read_snapshot
from marin_build.observe.bare_prefix import is_bare
from marin_build.observe.read_snapshot import observe
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.targets import make_targets
from marin_build.plan.decide import make_plan
from marin_build.protocol.lease import Host
from marin_build.store.local import LocalStore
from marin_build.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.decisions import Plan

HOST = Host("me@here", "here")


def _targets(tmp_path: Path, **fields: str) -> Targets:
    raw = StepSpec("raw", fn=None)
    tokens = StepSpec("data/tokens", fn=print, deps=[raw], hash_attrs={"n": 1})
    train = StepSpec("train", fn=print, deps=[tokens], version="v1", **fields)  # type: ignore[arg-type]
    other = StepSpec("other", fn=print)
    return make_targets(
        build_graph([train, other]), Workspace(str(tmp_path), str(tmp_path / "outputs"))
    )


def _plan(targets: Targets, requested: list[int], *, below: bool = True) -> Plan:
    store = LocalStore()
    seen = observe(store, targets, requested, set(), HOST, history=True, losses=True, below=below)
    plan = make_plan(targets, seen, requested)
    return read_renames.read_renamed(store, plan, lambda: {t.name for t in targets.all})


@pytest.mark.parametrize("below", [True, False])
@pytest.mark.parametrize("requested", [[2], [3], [0, 3], [1, 2]])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_plan_is_the_one_that_asks_about_each_target(
    tmp_path: Path, requested: list[int], *, below: bool, is_there: bool
) -> None:
    targets = _targets(tmp_path)
    if is_there:
        (tmp_path / "outputs" / ".marin-build" / "runs").mkdir(parents=True)
    assert is_bare(LocalStore(), targets)
    found = _plan(targets, requested, below=below)
    with (
        mock.patch.object(read_snapshot, "is_bare", return_value=False),
        mock.patch.object(read_renames, "is_bare", return_value=False),
    ):
        assert found == _plan(targets, requested, below=below)


@pytest.mark.parametrize("name", ["train", "other_0123abcd", "note.txt", ".hidden"])
def test_anything_in_a_prefix_may_belong_to_a_target(tmp_path: Path, name: str) -> None:
    """Else an output is not seen, and is built over."""
    targets = _targets(tmp_path)
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / name).touch()
    assert not is_bare(LocalStore(), targets)


def test_a_target_elsewhere_is_asked_about(tmp_path: Path) -> None:
    targets = _targets(tmp_path, output_path_prefix=str(tmp_path / "elsewhere"))
    assert not is_bare(LocalStore(), targets)


def test_a_prefix_that_is_no_folder_is_asked_about(tmp_path: Path) -> None:
    """So that its error is the one that names it."""
    targets = _targets(tmp_path)
    (tmp_path / "outputs").touch()
    assert not is_bare(LocalStore(), targets)
