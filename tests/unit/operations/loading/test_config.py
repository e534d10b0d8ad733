"""A setting that is mistyped must be refused, not ignored: it may send outputs elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.errors import UsageError
from marin_build.operations.loading.config import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("marin-build.toml", 'prefix = "gs://b"\njobs = 3\n'),
        ("pyproject.toml", '[tool.marin-build]\nprefix = "gs://b"\njobs = 3\n'),
    ],
)
def test_settings_come_from_either_file(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text)
    assert load_settings(str(tmp_path)) == Settings(prefix="gs://b", jobs=3)


def test_our_own_file_wins_over_pyproject(tmp_path: Path) -> None:
    (tmp_path / "marin-build.toml").write_text("jobs = 1\n")
    (tmp_path / "pyproject.toml").write_text("[tool.marin-build]\njobs = 2\n")
    assert load_settings(str(tmp_path)).jobs == 1


@pytest.mark.parametrize("text", ["", "[tool.other]\nx = 1\n", "# [tool.marin-build] is unused\n"])
def test_a_project_without_our_table_has_the_defaults(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert load_settings(str(tmp_path)) == Settings()
    assert load_settings(str(tmp_path / "nowhere")) == Settings()


def test_a_profile_lies_on_top_of_the_common_settings(tmp_path: Path) -> None:
    (tmp_path / "marin-build.toml").write_text(
        'jobs = 2\nengine = "local"\n[profiles.big]\njobs = 9\n'
    )
    assert load_settings(str(tmp_path), "big") == Settings(jobs=9, engine="local")
    assert load_settings(str(tmp_path)).jobs == 2


@pytest.mark.parametrize(
    ("text", "profile", "says"),
    [
        ("jbos = 3", None, "unknown setting `jbos`.*did you mean `jobs`"),
        ('jobs = "3"', None, "`jobs` is not an integer"),
        ("jobs = true", None, "`jobs` is not an integer"),
        ("prefix = 3", None, "`prefix` is not a string"),
        ("prefix = ", None, "cannot read the configuration"),
        ("[profiles.big]\n", "bgi", "unknown profile `bgi`.*did you mean `big`"),
        ("[profiles.big]\njosb = 1", "big", "unknown setting `josb`.*profile big"),
        ("", "big", "unknown profile `big`"),
        ('code = "always"', None, "`code` is one of report, rebuild, ignore.*'always'"),
        ("profiles = 3", "big", "profile"),
        ("[profiles]\nbig = 3", "big", "big"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    tmp_path: Path, text: str, profile: str | None, says: str
) -> None:
    (tmp_path / "marin-build.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        load_settings(str(tmp_path), profile)
    assert_says(caught.value, says)


def assert_says(error: UsageError, pattern: str) -> None:
    import re

    assert re.search(pattern, error.render(), re.DOTALL), error.render()
