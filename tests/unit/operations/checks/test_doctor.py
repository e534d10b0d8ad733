"""What does not work is said, and does not hide what does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.engines.base import Capabilities, Engine
from marin_build.engines.registry import OURS, Registered
from marin_build.operations.checks import doctor
from marin_build.operations.checks.doctor import examine

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from marin_build.operations.checks.checkup import Checkup


class Sick(Engine[Any]):
    """Its doctor line raises."""

    name = "sick"
    capabilities = Capabilities(uses_this_machine=False, sees_local_prefix=True, applies=False)

    def emit(self, *_: object) -> dict[str, str]:
        return {}

    def words_to_run(self, folder: str) -> list[str]:
        return [folder]

    def doctor(self) -> list[str]:
        raise OSError("no answer")


def _examine(folder: Path, profile: str | None = None) -> dict[str, Checkup]:
    return {one.subject: one for one in examine(str(folder), profile)}


def test_engines_say_where_they_come_from_and_what_they_find(tmp_path: Path) -> None:
    found = _examine(tmp_path)
    assert list(found) == [
        "configuration",
        "machine",
        "prefix",
        *(f"engine {name}" for name in OURS),
    ]
    assert {one.source for one in list(found.values())[3:]} == {"marin-build"}
    assert found["engine local"].findings[0].what.startswith("cores: ")
    assert all(one.problem is None for one in found.values())
    assert {one.state for one in found.values()} <= {"ok", "note", "warn"}, "none is needed"


def test_the_settings_of_every_engine_are_checked_not_only_of_the_chosen_one(
    tmp_path: Path,
) -> None:
    """Else a mistyped setting waits until the day of the first large run."""
    (tmp_path / "marin-build.toml").write_text(
        '[kubernetes]\nimage = "i"\n[profiles.big.kubernetes]\nimagge = "x"\n'
    )
    assert _examine(tmp_path)["engine kubernetes"].problem is None
    problem = _examine(tmp_path, "big")["engine kubernetes"].problem
    assert problem is not None
    assert problem.what == "unknown setting `kubernetes.imagge`"
    assert dict(problem.facts)["configuration"] == "marin-build.toml, profile big"


def test_a_configuration_that_cannot_be_read_does_not_hide_the_engines(tmp_path: Path) -> None:
    (tmp_path / "marin-build.toml").write_text("jobs = 0\n")
    found = _examine(tmp_path)
    problem = found["configuration"].problem
    assert problem is not None
    assert problem.what == "the setting `jobs` must be at least 1"
    assert found["engine local"].problem is None


def test_an_engine_that_cannot_say_how_it_is_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = [
        Registered("sick", f"{__name__}:Sick", "sick 1.0"),
        Registered("twice", "a:A", "one 1.0"),
        Registered("twice", "b:B", "two 1.0"),
        Registered("gone", "nowhere_at_all:A", "gone 1.0"),
        Registered("local", OURS["local"], "marin-build"),
    ]
    monkeypatch.setattr(doctor, "registered_engines", lambda: engines)
    *broken, good = examine(str(tmp_path))[3:]
    assert [one.problem.what if one.problem else None for one in broken] == [
        "the engine `sick` failed to report its state",
        "2 packages offer an engine named `twice`",
        "2 packages offer an engine named `twice`",
        "the engine `gone` cannot be loaded",
    ]
    assert good.problem is None
