"""Targets that were kept are those of the load, and load the pipeline for a function alone."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from marin_build import StepSpec
from marin_build.analysis.columns import decode, encode
from marin_build.analysis.kept_steps import kept_targets
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.targets import make_targets
from marin_build.plan.deep_digests import all_digests
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from marin_build.analysis.columns import Columns
    from marin_build.pipeline.targets import Targets

PLACE = Workspace("/project", "/project/outputs")


def _build(output_path: str) -> None: ...


@pytest.fixture(autouse=True)
def _place() -> Iterator[None]:
    with in_workspace(PLACE):
        yield


def _targets() -> Targets:
    given = StepSpec(name="given", override_output_path="/data/given")
    raw = StepSpec(name="raw", fn=_build, hash_attrs={"n": 1}, temp=True)
    dev = StepSpec(name="dev", fn=_build, deps=[raw], version="dev")
    last = StepSpec(name="last", fn=_build, deps=[raw, given, raw], tags=["t"])
    return make_targets(build_graph([last, dev]), PLACE)


def _data(targets: Targets) -> bytes:
    return encode(targets, *all_digests(targets), {"roots": list(targets.requested)})


def _read(path: Path, data: bytes) -> Columns:
    path.write_bytes(data)
    return decode(os.open(path, os.O_RDONLY))


def test_kept_targets_are_those_of_the_load(tmp_path: Path) -> None:
    """Else commands show other targets than a load."""
    targets, loads = _targets(), []

    def load() -> Targets:
        loads.append(1)
        return targets

    kept = kept_targets(_read(tmp_path / "a", _data(targets)), PLACE, load)
    assert (kept.deps, kept.requested, kept.by_id) == (
        targets.deps, targets.requested, targets.by_id,
    )  # fmt: skip
    assert kept.traits == targets.traits
    _, deep = all_digests(targets)
    for index, (one, two) in enumerate(zip(kept.all, targets.all, strict=True)):
        for name in ("id", "fingerprint", "output_path", "name"):
            assert getattr(one, name) == getattr(two, name)
        for name in (
            "payload", "fingerprint", "hash_id", "name_with_hash", "target_id", "is_dev", "tags",
            "may_name_places", "is_built_by_code", "code_digest", "command_text", "files_read",
            "place", "has_free_path", "hash_attrs", "is_pinned", "output_path",
        ):  # fmt: skip
            assert getattr(one.step, name) == getattr(two.step, name), name
        assert [dep.target_id for dep in one.step.deps] == [d.target_id for d in two.step.deps]
        assert kept.deep_codes is not None
        assert kept.deep_codes[index] == deep[index]
    assert kept.all[0].step is kept.all[0].step
    assert replace(kept, workspace=PLACE).traits == targets.traits
    assert not loads
    assert [one.step.fn for one in kept.all] == [two.step.fn for two in targets.all]
    assert loads == [1]


def test_what_is_kept_of_equal_loads_is_equal() -> None:
    """Else no second load ever agrees with the first."""
    assert _data(_targets()) == _data(_targets())


def test_a_damaged_file_is_refused_or_a_load_takes_its_place(tmp_path: Path) -> None:
    """Else a file that a power cut left half decides what a plan says."""
    targets = _targets()
    data = _data(targets)
    expected = [(t.id, t.fingerprint, t.step.payload, t.step.tags) for t in targets.all]
    for place in range(0, len(data), 7):
        for broken in (data[:place], data[:place] + b"\0" * 3 + data[place + 3 :]):
            try:
                columns = _read(tmp_path / "a", broken)
            except (ValueError, KeyError, TypeError):
                continue
            kept = kept_targets(columns, PLACE, lambda: targets)
            found = [(t.id, t.fingerprint, t.step.payload, t.step.tags) for t in kept.all]
            assert found == expected, place
