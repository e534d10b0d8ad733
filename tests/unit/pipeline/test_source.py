"""Sources: found beside the file that declares them, named the same on every machine."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from marin_build import source
from marin_build.errors import SpecificationError, collected_errors
from marin_build.pipeline.source import Source
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

HERE = str(Path(__file__).parent)


@pytest.mark.parametrize(
    ("path", "name", "location"),
    [
        ("data/a.txt", "data/a.txt", f"{HERE}/data/a.txt"),
        ("./data//b/../a.txt", "data/a.txt", f"{HERE}/data/a.txt"),
        (f"{HERE}/data", "data", f"{HERE}/data"),
        (PurePosixPath("data"), "data", f"{HERE}/data"),
        ("gs://bucket/a/", "gs://bucket/a", "gs://bucket/a"),
    ],
)
def test_a_relative_path_is_taken_from_the_declaring_file(
    path: Any, name: str, location: str
) -> None:
    with in_workspace(Workspace(HERE, "/out")):
        found = source(path)
    assert (found.name, found.location) == (name, location)
    assert str(found) == location
    assert found.declared.rpartition(":")[0] == Path(__file__).name


@pytest.mark.parametrize(
    ("spellings", "one"),
    [
        (["s3://b/d", "s3://b/d/", "s3://b/d//", "S3://b/d", "s3a://b/d/"], "s3://b/d"),
        (["gs://b", "gs://b/", "GS://b", "gcs://b/"], "gs://b"),
        (["s3://b//d/"], "s3://b//d"),  # an object of its own
        (["s3://b/D"], "s3://b/D"),
        (["abfss://c@a.dfs.core.windows.net/d/"], "abfss://c@a.dfs.core.windows.net/d"),
        (["http://h/d/", "HTTP://H/d/"], "http://h/d/"),  # not what `/d` is
        (["https://h", "https://h/", "HTTPS://H/"], "https://h"),
        (["http://h/D?q=A/"], "http://h/D?q=A/"),
        (["hf://datasets/a/b/", "HF://datasets/a/b"], "hf://datasets/a/b"),
    ],
)
def test_a_place_in_a_store_has_one_spelling(spellings: list[str], one: str) -> None:
    """`s3://b/data` and `s3://b/data/` were two inputs, and `S3://` a bug of ours."""
    for spelling in spellings:
        found = source(spelling)
        assert (found.name, found.location) == (one, one)
        assert found.name_1 == spelling
        assert source(spelling, name="n").name_1 == "n"
        assert found == source(one)


def test_the_folder_the_program_was_started_in_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with in_workspace(Workspace(HERE, "/out")):
        before = source("a.txt")
        monkeypatch.chdir(tmp_path)
        assert source("a.txt").location == before.location


@pytest.mark.parametrize("path", ["../elsewhere", "/etc/hosts", ".."])
def test_a_path_outside_the_project_needs_a_name(path: str) -> None:
    with in_workspace(Workspace(HERE, "/out")):
        with pytest.raises(SpecificationError, match="outside the project and has no name"):
            source(path)
        named = source(path, name="corpus")
    assert (named.name, named.location) == ("corpus", os.path.normpath(os.path.join(HERE, path)))


def test_a_missing_name_is_reported_with_the_other_mistakes() -> None:
    with collected_errors() as errors, in_workspace(Workspace(HERE, "/out")):
        source("../a")
        source("../b")
    assert len(errors) == 2


def test_where_it_is_found_is_not_identity_but_what_it_selects_is() -> None:
    assert Source("n", "/a") == Source("n", "/b")
    assert Source("n", "/a") != Source("n", "/a", ("*.py",))
    assert Source("n", "/a") != Source("n", "/a", exclude=("*.py",))
    assert Source("n", "/a") != Source("m", "/a")


def test_patterns_may_be_given_as_a_list() -> None:
    patterns: Any = ["*.py"]
    assert source("gs://b", include=patterns) == source("gs://b", include=("*.py",))


def test_one_pattern_is_not_read_letter_by_letter() -> None:
    """`include="*.py"` must not become the patterns `*`, `.`, `p`, `y`."""
    pattern: Any = "*.py"
    try:
        found = source("gs://b", include=pattern)
    except SpecificationError:
        return
    assert found.include == ("*.py",)
