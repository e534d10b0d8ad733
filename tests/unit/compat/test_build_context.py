"""Versions that the run decides."""

from __future__ import annotations

import pytest

from marin_build.compat.build_context import (
    BuildContext,
    VersionCodex,
    build_context,
    current_build_context,
    resolve_version,
)

DAY, OTHER = "2026.07.16", "2026.06.28"


def _context(**overrides: str) -> BuildContext:
    return BuildContext(VersionCodex(DAY, overrides))


def test_the_author_goes_before_the_run() -> None:
    """Else an override of the run renames what its author published under a version."""
    with build_context(_context(data=OTHER)) as context:
        assert current_build_context() is context
        assert resolve_version("data", "2026.01.01") == "2026.01.01"
        assert resolve_version("data", None) == OTHER
        assert resolve_version("other", None) == DAY
    assert current_build_context() is None


def test_without_a_run_that_decides_there_is_no_version() -> None:
    """Else what was meant for one day is written over by every run."""
    with pytest.raises(ValueError, match="no active BuildContext"):
        resolve_version("data", None)


def test_an_inner_context_ends_with_its_block_however_it_ends() -> None:
    with build_context(_context()):
        with pytest.raises(RuntimeError, match="x"), build_context(_context(data=OTHER)):
            raise RuntimeError("x")
        assert resolve_version("data", None) == DAY


def test_overrides_that_nothing_asked_for_are_known() -> None:
    """Else a misspelt name changes nothing, and nobody sees it."""
    codex = VersionCodex("dev", {"data": OTHER, "dtaa": OTHER})
    assert codex.version_for("data") == OTHER
    assert codex.version_for("model") == "dev"
    assert codex.unused_overrides() == {"dtaa"}
    assert codex == VersionCodex("dev", {"data": OTHER, "dtaa": OTHER})


@pytest.mark.parametrize(
    ("default", "overrides", "says"), [("v1", {}, "v1"), (DAY, {"a": "x"}, "override 'a'")]
)
def test_what_is_no_version_is_refused_at_once(
    default: str, overrides: dict[str, str], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        VersionCodex(default, overrides)
