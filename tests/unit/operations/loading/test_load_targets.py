"""Commands read the remote inputs of what they are about, and of nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fsspec
import pytest

from marin_build.errors import MarinBuildError
from marin_build.operations.loading.loading import load
from marin_build.operations.loading.options import PipelineOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIPELINE = """\
from marin_build import command, source

a = command("cat {x} > {output}/x", name="a", inputs={"x": source("memory://b/a", name="x")})
b = command("cat {x} > {output}/x", name="b", inputs={"x": source("memory://b/none", name="y")})
c = command("cat {a}/x > {output}/x", name="c", deps={"a": a})
both = command("true", name="both", deps={"a": a, "b": b})
targets = [both, c]
"""


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PipelineOptions]:
    """A pipeline one of whose inputs is not there."""
    monkeypatch.delenv("MARIN_PREFIX", raising=False)
    (tmp_path / "marin-build.toml").write_text("")
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    fs: Any = fsspec.filesystem("memory")
    fs.store.clear()
    fs.pipe({"/b/a": b"1"})
    yield PipelineOptions(file=str(tmp_path / "pipeline.py"))
    fs.store.clear()


@pytest.mark.parametrize("needed", [["a"], ["c"], ["+c"], ["a,c"], ["c_0badcafe"], ["[ac]"]])
def test_inputs_of_other_targets_are_not_read(options: PipelineOptions, needed: list[str]) -> None:
    loaded = load(options, needed=needed)
    assert {target.name for target in loaded.targets.all} <= {"a", "c"}


@pytest.mark.parametrize("needed", [[], ["b"], ["both"], ["a", "b"], ["a+"], ["^b"], ["nobody"]])
def test_inputs_of_what_is_asked_for_are_read(options: PipelineOptions, needed: list[str]) -> None:
    with pytest.raises(MarinBuildError, match="cannot read the source `y`"):
        load(options, needed=needed)


def test_identities_do_not_depend_on_what_is_left_out(options: PipelineOptions) -> None:
    part = load(options, needed=["c"])
    fsspec.filesystem("memory").pipe({"/b/none": b"2"})
    whole = load(options)
    assert len(whole.targets) > len(part.targets)
    assert {target.id for target in part.targets.all} <= set(whole.targets.by_id)


def test_nothing_is_left_out_where_nothing_is_won_by_it(
    options: PipelineOptions, tmp_path: Path
) -> None:
    """The whole pipeline is checked, as long as that costs nothing."""
    text = PIPELINE.replace("memory://b/none", "memory://b/a")
    (tmp_path / "pipeline.py").write_text(text)
    assert len(load(options, needed=["c"]).targets) == 4
