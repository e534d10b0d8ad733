"""Names and versions of artifacts."""

from __future__ import annotations

import pytest

from marin_build.compat.versions import (
    is_mutable_version,
    validate_path_segment,
    validate_version,
)
from marin_build.errors import SpecificationError


@pytest.mark.parametrize("version", ["2026.06.28", "2026.06.28.2", "dev", "ada-dev", "-dev"])
def test_a_day_and_a_dev_version_are_versions(version: str) -> None:
    validate_version(version)
    assert is_mutable_version(version) == version.endswith("dev")


@pytest.mark.parametrize(
    "version", ["", "v1", "20260628", "2026-06-28", "2026.6.28", "2026.06.28.", "2026.06.28\n"]
)
def test_other_texts_are_none(version: str) -> None:
    """Else `v1` names for ever what nobody can date."""
    with pytest.raises(SpecificationError) as caught:
        validate_version(version)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        ("/a", "begin or end"),
        ("a/", "begin or end"),
        ("a/../b", "`..`"),
        ("gs://b/a", "scheme"),
        ("gs:a", "scheme"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(name: str, why: str) -> None:
    """Else an artifact is written into the folder of another one."""
    with pytest.raises(ValueError, match=why):
        validate_path_segment("name", name)
