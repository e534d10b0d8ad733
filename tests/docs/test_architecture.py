"""A reader who follows the page opens files that are there, and sees the floors that hold."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text("utf-8")
MOST_FILES = 40


def test_every_file_on_the_page_is_there() -> None:
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)+\.py)`", PAGE))
    places = [ROOT / "marin_build", ROOT]
    assert [n for n in sorted(named) if not any((place / n).exists() for place in places)] == []


def test_one_step_is_followed_through_few_files() -> None:
    """Else the way from a declaration to its record is one that only its authors know."""
    numbered = re.findall(
        r"^\d+\. `([a-z_/]+\.py)`:", PAGE.partition("## One step")[2], re.MULTILINE
    )
    assert len(numbered) == len(set(numbered))
    assert 0 < len(numbered) <= MOST_FILES


def test_the_floors_are_those_that_the_import_rules_hold() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    layers = config["tool"]["importlinter"]["contracts"][0]["layers"]
    held = {name.strip() for layer in layers for name in layer.split("|")} - {"__main__"}
    picture = PAGE.partition("```text")[2].partition("```")[0]
    drawn = {name for line in picture.splitlines() for name in re.findall(r"\b\w+", line)}
    assert held - drawn == set()
