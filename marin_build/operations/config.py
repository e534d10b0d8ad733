"""Configuration: `[tool.marin-build]` in pyproject.toml, or marin-build.toml, with profiles."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, get_args

from marin_build.errors import UsageError
from marin_build.protocol.lease import TIME_TO_LIVE
from marin_build.text import did_you_mean
from marin_build.workspace import CONFIG_FILE, CodePolicy

if TYPE_CHECKING:
    from collections.abc import Mapping


SHORTEST_LEASE = 2.0
"""Seconds. On object stores 20 and more: they refuse many writes of one object."""
_SECTION = b"[tool.marin-build"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a configuration file can say; the command line wins over all of it.

    Args:
        pipeline: the pipeline, as `-f` names it: a file relative to the project, or a module, and
            perhaps a function of it.
        prefix: where outputs live; a relative folder is taken from the project.
        engine: where actions run, `local` or `kubernetes`.
        jobs: targets built at once on this machine.
        isolation: `process`, `worker` or `thread`.
        log_limit: MiB of the longest log of an attempt; of a longer one the middle is cut out.
        lease: seconds a lease holds without being renewed. Shorter means that others go on sooner
            after a machine died, and more requests: a long step renews it four times as often.
        code: what a change of code does to steps that do not say: `report`, `rebuild`, `ignore`.
        templates: a folder whose templates win over ours.
        prices: a JSON file, relative to the project, with what costs other than our list prices.
        regions: prefix -> the region its bucket lies in, to tell of reads across regions.
        kubernetes: image, namespace and the like, for that engine's job specs.
        budgets: how much there is of `cpu`, `ram`, `gpu`, `tpu`, or of what steps name.

    """

    pipeline: str = "pipeline.py"
    prefix: str | None = None
    engine: str = "local"
    jobs: int | None = None
    isolation: str = "process"
    log_limit: int = 64
    lease: float = TIME_TO_LIVE
    code: CodePolicy | None = None
    templates: str | None = None
    prices: str | None = None
    regions: Mapping[str, str] = field(default_factory=dict)
    kubernetes: Mapping[str, Any] = field(default_factory=dict)
    budgets: Mapping[str, int | float | str] = field(default_factory=dict)


_STRING, _INTEGER, _TABLE = ((str,), "a string"), ((int,), "an integer"), ((dict,), "a table")
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "pipeline": _STRING,
    "prefix": _STRING,
    "engine": _STRING,
    "jobs": _INTEGER,
    "isolation": _STRING,
    "log_limit": _INTEGER,
    "lease": ((int, float), "a number"),
    "code": _STRING,
    "templates": _STRING,
    "prices": _STRING,
    "regions": _TABLE,
    "kubernetes": _TABLE,
    "budgets": _TABLE,
}
"""What a setting is in Python, and in the words of TOML."""


def load_settings(project: str, profile: str | None = None) -> Settings:
    """Return the settings of a project, with those of a profile on top.

    Raises:
        UsageError: unreadable file, unknown key, wrong type or unknown profile.

    """
    file, table = _read_table(project)
    profiles = table.pop("profiles", {})
    if not isinstance(profiles, dict):
        raise UsageError("the profiles are not a table", facts=[("configuration", file)])
    settings = _checked(Settings(), table, file)
    if profile is None:
        return settings
    if profile not in profiles:
        raise UsageError(
            f"unknown profile `{profile}`",
            facts=[("configuration", file or "none")],
            hint=did_you_mean(profile, profiles),
        )
    if not isinstance(profiles[profile], dict):
        raise UsageError(f"the profile `{profile}` is not a table", facts=[("configuration", file)])
    return _checked(settings, profiles[profile], f"{file}, profile {profile}")


def _read_table(project: str) -> tuple[str, dict[str, Any]]:
    """Return the configuration file's name and its table; both empty without one."""
    own = os.path.join(project, CONFIG_FILE)
    if os.path.exists(own):
        return CONFIG_FILE, _parse(own)
    shared = os.path.join(project, "pyproject.toml")
    try:
        with open(shared, "rb") as stream:
            if _SECTION not in stream.read():  # saves the import of a parser
                return "", {}
    except OSError:
        return "", {}
    table = _parse(shared).get("tool", {}).get("marin-build", {})
    return "pyproject.toml", table


def _parse(file: str) -> dict[str, Any]:
    import tomllib

    try:
        with open(file, "rb") as stream:
            return tomllib.load(stream)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            f"cannot read the configuration `{file}`", facts=[("reason", str(error))]
        ) from error


def _checked(base: Settings, table: Mapping[str, Any], file: str) -> Settings:
    known = {field.name for field in fields(Settings)}
    for key, value in table.items():
        if key not in known:
            raise UsageError(
                f"unknown setting `{key}`",
                facts=[("configuration", file)],
                hint=did_you_mean(key, known),
            )
        kinds, wanted = _TYPES[key]
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise UsageError(
                f"the setting `{key}` is not {wanted}",
                facts=[("configuration", file), ("value", repr(value))],
            )
    for key in ("jobs", "log_limit"):
        if table.get(key, 1) < 1:
            what = f"the setting `{key}` must be at least 1"
            raise UsageError(what, facts=[("configuration", file)])
    if not all(isinstance(region, str) for region in table.get("regions", {}).values()):
        raise UsageError(
            "the setting `regions` says for each prefix the name of a region",
            facts=[("configuration", file)],
            hint='[tool.marin-build.regions] "gs://bucket" = "us-central2"',
        )
    if budgets := table.get("budgets"):
        _check_budgets(budgets, file)
    if table.get("lease", TIME_TO_LIVE) < SHORTEST_LEASE:
        raise UsageError(
            f"the setting `lease` must be at least {SHORTEST_LEASE:g} seconds",
            facts=[("configuration", file)],
        )
    if "code" in table and table["code"] not in get_args(CodePolicy):
        raise UsageError(
            f"the setting `code` is one of {', '.join(get_args(CodePolicy))}",
            facts=[("configuration", file), ("value", repr(table["code"]))],
        )
    return replace(base, **table)


def _check_budgets(budgets: Mapping[str, Any], file: str) -> None:
    from marin_build.plan.capacity import parse_amount

    for name, amount in budgets.items():
        try:
            parse_amount(name, amount)
        except UsageError as error:
            error.facts = (("configuration", file),)
            raise
