"""The table of Marin's names: which of ours stands for each, `data/marin_names.json`."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from importlib import resources as package_files
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

Era = Literal["executor", "artifact"]
"""Marin until spring 2026, whose steps are ExecutorSteps, and since, with ArtifactSteps."""
ERAS: tuple[Era, ...] = get_args(Era)


@dataclass(frozen=True, slots=True)
class MarinModule:
    """A module of Marin, fray or rigging that ours stand for.

    Args:
        name: `fray.types`.
        ours: its names, and where each of ours is: `marin_build.compat.fray.devices.CpuConfig`.
        differences: names that behave differently, and how.
        repeats: other modules, all of whose names it has.

    """

    name: str
    ours: Mapping[str, str]
    differences: Mapping[str, str] = field(default_factory=dict)
    repeats: tuple[str, ...] = ()


def marin_modules(era: Era) -> dict[str, MarinModule]:
    """Return every module that ours stand for, by name; a package before what is in it."""
    return {name: _module(name, era) for name in sorted(_table()["modules"])}


def _module(name: str, era: Era) -> MarinModule:
    """Return one module with its own names, and with those of the modules that it repeats."""
    row = _table()["modules"][name]
    ours: dict[str, str] = {}
    differences: dict[str, str] = {}
    repeats = (*row.get("repeats", ()), *row.get(f"repeats_in_{era}_era", ()))
    for other in repeats:
        repeated = _module(other, era)
        ours |= repeated.ours
        differences |= repeated.differences
    own = (*row.get("ours", {}).items(), *row.get(f"ours_in_{era}_era", {}).items())
    ours |= {one: f"{home}.{one}" for home, names in own for one in names}
    ours |= row.get("called_otherwise", {})
    differences |= row.get("differences", {})
    return MarinModule(name, ours, differences, repeats)


@functools.cache
def _table() -> dict[str, Any]:
    folder = package_files.files("marin_build").joinpath("data")
    table: dict[str, Any] = json.loads(folder.joinpath("marin_names.json").read_text("utf-8"))
    return table
