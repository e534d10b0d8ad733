"""The command line of an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from marin_build.compat.experiment.cli import (
    build_options,
    build_options_with_runner,
    experiment_main,
    graph_handles,
)
from marin_build.compat.lazy import OUT, ArtifactStep, apply
from marin_build.pipeline.caught_run import ProgramEnded, catching_runs
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from marin_build.compat.artifact import Artifact


def stage(out: str, words: str = "x") -> None:
    del out, words


def _build(words: str = "x") -> list[ArtifactStep[Artifact]]:
    raw = apply("raw", stage, version="2026.06.01", out=OUT)
    return [apply("data", stage, out=OUT, words=[raw, words])]


def _called(command: Callable[..., None], *args: str) -> Result:
    assert isinstance(command, click.Command)
    return CliRunner().invoke(command, args)


def test_without_run_the_plan_is_printed_and_nothing_is_built() -> None:
    done = _called(experiment_main(_build), "--version", "dev")
    assert (done.exit_code, done.output.splitlines()[-3:]) == (
        0,
        ["Versions:", "  raw@2026.06.01", "  data@dev  (mutable: built anew each time)"],
    )
    assert "-> /project/outputs/data/dev\n  needs raw@2026.06.01" in done.output


def test_with_run_the_artifacts_are_built(tmp_path: Path) -> None:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path))):
        done = _called(experiment_main(_build), "--version", "2026.06.28", "--run")
    assert done.exit_code == 0
    assert (tmp_path / "data/2026.06.28/.artifact.json").exists()


@pytest.mark.parametrize("run", [(), ("--run",)])
def test_a_plan_of_the_file_takes_the_artifacts(run: tuple[str, ...]) -> None:
    """Else marin-build finds no steps in an experiment, or runs them while it plans."""
    with catching_runs(__file__) as caught, pytest.raises(ProgramEnded):
        experiment_main(_build)(["--version", "dev", *run])
    assert caught.run is not None
    assert [step.target_id for step in caught.run.steps] == ["data@dev"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "Missing option '--version'"),
        (["--version", "v1"], "`v1` is none"),
        (["--version", "dev", "--override", "data"], "`data` is not NAME=VERSION"),
        (["--version", "dev", "--override", "=dev"], "not NAME=VERSION"),
        (["--version", "dev", "--override", "data=1"], "override `data`"),
        (["--version", "dev", "--override", "dtaa=dev"], "no artifact took it: dtaa"),
        (["--version", "dev", "--override", "raw=dev"], "no artifact took it: raw"),
        (["--version", "dev", *["--override", "data=dev"] * 2], "`data` is given twice"),
    ],
)
def test_what_the_run_cannot_mean_is_refused(args: list[str], says: str) -> None:
    """Else a misspelt name leaves an artifact at the version of all others."""
    done = _called(experiment_main(_build), *args)
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())


def test_an_override_is_the_version_of_one_artifact() -> None:
    done = _called(experiment_main(_build), "--version", "dev", "--override", "data=2026.06.02")
    assert "  data@2026.06.02\n" in done.output


def test_an_experiment_may_have_options_of_its_own() -> None:
    @click.command()
    @click.option("--words")
    @build_options
    def main(words: str) -> Any:
        return {"one": _build(words)[0]}

    first, other = (
        _called(main, "--version", "dev", "--words", word).output for word in ("a", "b")
    )
    assert "data@dev" in first
    assert first != other


def test_another_runner_gets_the_artifacts() -> None:
    got: list[tuple[list[str], int]] = []

    def runner(handles: list[ArtifactStep[Any]], at_once: int) -> None:
        got.append(([handle.identity for handle in handles], at_once))

    main = click.command()(build_options_with_runner(lambda: _build()[0], runner))
    assert _called(main, "--version", "dev", "--run", "--max-concurrent", "3").exit_code == 0
    assert got == [(["data@dev"], 3)]


def test_what_is_no_artifact_is_refused() -> None:
    done = _called(experiment_main(lambda: 3), "--version", "dev")  # type: ignore[arg-type, return-value]
    assert isinstance(done.exception, TypeError)


def test_a_graph_names_each_artifact_once_after_what_it_needs() -> None:
    raw = apply("raw", stage, version="dev", out=OUT)
    left, right = (apply(n, stage, version="dev", out=OUT, words=raw) for n in ("left", "right"))
    top = apply("top", stage, version="dev", out=OUT, words=[left, right])
    order = graph_handles([top, left])
    assert sorted(handle.name for handle in order) == ["left", "raw", "right", "top"]
    assert (order[0], order[-1]) == (raw, top)
