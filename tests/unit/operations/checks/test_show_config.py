"""Which settings hold, and where each comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.errors import NotFoundError, UsageError
from marin_build.operations.checks.show_config import DEFAULT, ShownSetting, show_config

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION = """\
prefix = "outputs"
jobs = 4

[budgets]
ram = "48Gi"
api = 4

[kubernetes]
image = "registry.example/lm:1"

[profiles.review]
prefix = "gs://b/lm"

[profiles.review.budgets]
ram = "1Gi"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a configuration."""
    monkeypatch.delenv("MARIN_PREFIX", raising=False)
    (tmp_path / "marin-build.toml").write_text(CONFIGURATION)
    return tmp_path


def _shown(folder: Path, profile: str | None = None, *keys: str) -> dict[str, tuple[object, str]]:
    return {one.key: (one.value, one.origin) for one in show_config(str(folder), profile, keys)}


def test_each_setting_says_where_it_comes_from(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a user searches four places for the value that counts."""
    file = "marin-build.toml"
    shown = _shown(folder)
    assert shown["jobs"] == (4, file)
    assert shown["isolation"] == ("process", DEFAULT)
    assert shown["budgets.api"] == (4, file)
    assert shown["kubernetes.image"] == ("registry.example/lm:1", file)
    review = _shown(folder, "review")
    assert review["prefix"] == ("gs://b/lm", f"{file}, profile review")
    assert review["jobs"] == (4, file)
    monkeypatch.setenv("MARIN_PREFIX", "/elsewhere")
    assert _shown(folder, "review", "prefix") == {
        "prefix": ("/elsewhere", "the variable MARIN_PREFIX")
    }


def test_the_table_of_a_profile_replaces_the_one_below(folder: Path) -> None:
    """Else a budget is shown that does not hold."""
    assert _shown(folder, "review", "budgets") == {
        "budgets.ram": ("1Gi", "marin-build.toml, profile review")
    }


def test_every_setting_is_shown_without_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a user does not learn which settings there are."""
    monkeypatch.delenv("MARIN_PREFIX", raising=False)
    (tmp_path / "marin-build.toml").touch()
    shown = show_config(str(tmp_path))
    assert {one.origin for one in shown} == {DEFAULT}
    assert ShownSetting("prefix", ".marin-build/outputs", DEFAULT) in shown


def test_secrets_are_not_shown(folder: Path) -> None:
    """Else `config show` in a log of CI gives a password away."""
    secret = "hunter2hunter2"
    (folder / "marin-build.toml").write_text(f'prefix = "s3://k:{secret}@host/x"\n')
    assert secret not in str(show_config(str(folder)))


def test_what_is_no_setting_is_refused(folder: Path) -> None:
    """Else a misspelt key looks as if it had no value."""
    with pytest.raises(NotFoundError, match="no setting is called `job`"):
        show_config(str(folder), None, ["job"])
    with pytest.raises(UsageError, match="unknown profile"):
        show_config(str(folder), "nobody")
