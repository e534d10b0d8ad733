"""Which engines there are: ours without metadata, those of others by entry point, each once."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.engines import registry
from marin_build.engines.base import Capabilities, Engine
from marin_build.engines.registry import (
    OURS,
    engine_words,
    engines_elsewhere,
    load_engine,
    open_engine,
    registered_engines,
)
from marin_build.engines.settings import Table
from marin_build.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKOUT = Path(__file__).parents[3]


class Toy(Engine[Any]):
    """An engine of another package."""

    name = "toy"
    capabilities = Capabilities(uses_this_machine=False, sees_local_prefix=True, applies=False)

    def emit(self, *_: object) -> dict[str, str]:
        return {}

    def words_to_run(self, folder: str) -> list[str]:
        return [folder]


class Nameless(Toy):
    """It calls itself `toy` whatever its entry point says."""


class Unfinished(Engine[Any]):
    name = "toy"


@dataclass(frozen=True)
class OddSettings:
    pairs: set[int]


class Odd(Toy):
    """Its settings have a type that no table has."""

    settings_type = OddSettings


class Unbound(Toy):
    """Its settings are no dataclass."""

    settings_type = dict


@dataclass(frozen=True)
class _Package:
    name: str
    version: str = "1.0"


@dataclass(frozen=True)
class _Entry:
    name: str
    value: str
    dist: _Package | None


@pytest.fixture
def add(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install an engine of another package."""
    found: list[_Entry] = []
    monkeypatch.setattr("importlib.metadata.entry_points", lambda *, group: found)

    def install(name: str, place: str, package: str | None = "toys") -> None:
        found.append(_Entry(name, place, _Package(package) if package is not None else None))

    return install


HERE = __name__


def test_our_engines_stand_in_the_metadata_as_in_the_table() -> None:
    """Else programs that list engines do not see ours, or see others."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"][registry.GROUP] == OURS


@pytest.mark.parametrize("name", OURS)
def test_our_engines_are_found_without_metadata(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a checkout that was installed before an engine was added does not know it."""
    monkeypatch.setattr("importlib.metadata.entry_points", lambda *, group: [])
    assert open_engine(name, {}).name == name


def test_the_default_engine_is_found_without_reading_entry_points() -> None:
    """Else every no-op reads the metadata of hundreds of packages."""
    code = (
        "import sys; from marin_build.engines.registry import DEFAULT_ENGINE, open_engine;"
        "open_engine(DEFAULT_ENGINE, {}); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "marin_build.engines.local.engine" in loaded
    assert not {"importlib.metadata", "jinja2", "pydantic"}.intersection(loaded)
    assert "marin_build.engines.kubernetes" not in loaded


def test_ours_installed_under_our_own_name_are_not_two(add: Callable[..., None]) -> None:
    for name, place in OURS.items():
        add(name, place, "marin-build")
    assert [one.name for one in registered_engines()] == list(OURS)
    assert open_engine("kubernetes", {}).name == "kubernetes"


def test_an_engine_of_another_package_is_found_and_gets_its_settings(
    add: Callable[..., None],
) -> None:
    add("toy", f"{HERE}:Toy")
    assert isinstance(open_engine("toy", {}), Toy)
    with pytest.raises(UsageError, match=re.escape("unknown setting `toy.x`")):
        open_engine("toy", {"toy": Table("toy", {"x": 1}, "c.toml")})


def test_an_engine_nobody_offers_is_refused_with_those_that_are(
    add: Callable[..., None],
) -> None:
    add("toy", f"{HERE}:Toy")
    with pytest.raises(UsageError) as caught:
        open_engine("toi", {})
    assert caught.value.render() == (
        "error: unknown engine `toi`\n"
        "  engines: local, container, slurm, ray, tpu-vm, kubernetes, toy\n"
        "hint: did you mean `toy`?"
    )


def test_two_packages_of_one_name_are_both_named(add: Callable[..., None]) -> None:
    """Else which of them builds depends on the order of a path."""
    add("toy", f"{HERE}:Toy", "one")
    add("toy", f"{HERE}:Other", "two")
    with pytest.raises(UsageError) as caught:
        open_engine("toy", {})
    assert caught.value.what == "2 packages offer an engine named `toy`"
    assert caught.value.facts == (("packages", f"one 1.0: {HERE}:Toy\ntwo 1.0: {HERE}:Other"),)
    add("kubernetes", f"{HERE}:Toy", "three")
    with pytest.raises(UsageError) as caught:
        open_engine("kubernetes", {})
    assert "marin-build: marin_build.engines.kubernetes" in caught.value.facts[0][1]
    assert f"three 1.0: {HERE}:Toy" in caught.value.facts[0][1]


@pytest.mark.parametrize(
    ("name", "place", "reason"),
    [
        ("toy", "nowhere_at_all:Toy", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("toy", f"{HERE}:Missing", "AttributeError"),
        ("toy", f"{HERE}:CHECKOUT", "is no subclass of marin_build.engines.base.Engine"),
        ("toy", f"{HERE}:Unfinished", "it does not define emit, words_to_run"),
        ("other", f"{HERE}:Nameless", "it calls itself `toy`"),
        ("toy", f"{HERE}:Unbound", "its settings `dict` are no dataclass"),
    ],
)
def test_a_broken_package_is_named(
    add: Callable[..., None], name: str, place: str, reason: str
) -> None:
    """Else a traceback of somebody else's code looks like a bug of ours."""
    add(name, place)
    with pytest.raises(UsageError) as caught:
        open_engine(name, {})
    facts = dict(caught.value.facts)
    assert caught.value.what == f"the engine `{name}` cannot be loaded"
    assert (facts["package"], facts["entry point"]) == ("toys 1.0", place)
    assert reason in facts["reason"]


def test_settings_that_cannot_be_read_are_their_engines_fault(add: Callable[..., None]) -> None:
    """Else a traceback asks people to report a bug of ours."""
    add("toy", f"{HERE}:Odd")
    with pytest.raises(UsageError) as caught:
        open_engine("toy", {"toy": Table("toy", {"pairs": [1]}, "c.toml")})
    assert caught.value.what == "the settings of the engine `toy` cannot be read"
    assert "no setting can have the type" in dict(caught.value.facts)["reason"]


def test_a_broken_package_does_not_hide_the_engines_of_others(add: Callable[..., None]) -> None:
    """Else one bad package breaks every plan with a step that cannot run here."""
    add("bad", "nowhere_at_all:Toy")
    add("toy", f"{HERE}:Toy")
    assert (
        engines_elsewhere("gpu") == engines_elsewhere("") == ("slurm", "ray", "kubernetes", "toy")
    )
    assert engines_elsewhere("tpu") == ("slurm", "ray", "tpu-vm", "kubernetes", "toy")


def test_where_no_distribution_is_known_the_engine_is_found_all_the_same(
    add: Callable[..., None],
) -> None:
    add("toy", f"{HERE}:Toy", None)
    (*_, one) = registered_engines()
    assert (load_engine(one), one.package) == (Toy, "unknown")


def test_the_default_engine_needs_no_word() -> None:
    assert engine_words("local") == ()
    assert engine_words("toy") == ("--engine", "toy")
