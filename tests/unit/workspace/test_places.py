"""URLs are recognised or refused alike everywhere, and never become folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.errors import MarinBuildError, UsageError
from marin_build.operations.building.trace import begin_trace, write_trace
from marin_build.operations.checks.init import write_first_pipeline
from marin_build.operations.saved_plans.plan_directory import read_plan_directory
from marin_build.operations.saved_plans.replace_plan import write_plan_directory
from marin_build.pipeline.source import source
from marin_build.pipeline.step_spec import StepSpec
from marin_build.workspace.places import checked_place, is_url
from marin_build.workspace.workspace import absolute_prefix

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NEARLY = (
    "gs:/b/out", "s3:/b", "az:/b/x", "gs:b/out", "s3:b", "GS:/b", "gs//b/out", "s3//b", "gss:/b/x",
    "http:/b", "file:/data", "gs://", "s3:///x", "gs:///", "://b/out", "abfs://",
)  # fmt: skip
URLS = {
    "gs://b/out": "gs://b/out",
    "S3://b/x": "s3://b/x",
    "GS://Bucket/Out": "gs://Bucket/Out",
    "memory://x": "memory://x",
    "gss://b/x": "gss://b/x",
}
FOLDERS = (
    "out", "/data/out", "./gs:/b/out", "a:b", "run:1/x", "../x", "~/out", "/data/we://ird", "./a://b",
    "gs", "s3/out", "day-12:30", "C", "a//b", "",
)  # fmt: skip


@pytest.mark.parametrize("text", NEARLY)
def test_what_is_nearly_a_url_is_refused(text: str) -> None:
    """Else outputs of days lie in a folder called `gs:`."""
    with pytest.raises(UsageError, match="is neither a URL nor a folder") as caught:
        checked_place(text)
    assert str(caught.value.hint).startswith("write ")
    with pytest.raises(UsageError):
        absolute_prefix(text, "/project")


@pytest.mark.parametrize(("text", "place"), URLS.items())
def test_urls_have_one_spelling(text: str, place: str) -> None:
    """Else `S3://` is a store that is not known."""
    assert (checked_place(text), is_url(place)) == (place, True)
    assert absolute_prefix(text + "/", "/project") == place


@pytest.mark.parametrize("text", FOLDERS)
def test_folders_are_folders(text: str) -> None:
    """Else a folder with a colon in its name cannot be used."""
    assert (checked_place(text), is_url(text)) == (text, False)
    assert absolute_prefix(text, "/project").startswith("/")


@pytest.mark.parametrize("place", ["s3://b/x", "gs:/b/x", "S3://b/x", "gs//b/x"])
def test_what_is_on_this_machine_is_never_a_url(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else `plan -o s3://b/x` makes a folder named `s3:`, and says that all is well."""
    monkeypatch.chdir(tmp_path)
    asked: list[Callable[[], object]] = [
        lambda: write_plan_directory(place, {"plan.json": "{}"}),
        lambda: read_plan_directory(place),
        lambda: write_trace("", place),
        lambda: begin_trace(place),
        lambda: write_first_pipeline(place),
    ]
    for ask in asked:
        with pytest.raises(UsageError, match=r"is a URL|is neither a URL"):
            ask()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["gs:/b/x", "gs//b/x", "s3://"])
def test_sources_and_places_of_steps_are_recognised_alike(place: str) -> None:
    """Else a step writes where none of its readers looks."""
    with pytest.raises(UsageError, match="is neither a URL nor a folder"):
        source(place, name="data")
    for option in ("override_output_path", "output_path_prefix"):
        with pytest.raises(MarinBuildError, match="is neither a URL nor a folder") as caught:
            StepSpec(name="a", **{option: place})  # type: ignore[arg-type]
        assert __file__ in dict(caught.value.facts)["declared"]
