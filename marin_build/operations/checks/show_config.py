"""The settings that hold in a folder, each with where it comes from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.errors import NotFoundError
from marin_build.operations.loading.config import load_settings
from marin_build.text.readable import did_you_mean
from marin_build.text.secret_shapes import masked_value
from marin_build.workspace.configuration import read_configuration
from marin_build.workspace.workspace import DEFAULT_PREFIX, PREFIX_VARIABLE, find_project

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """A setting.

    Args:
        key: its name; inside tables with dots, `kubernetes.image`.
        value: as JSON; what has the form of a secret, or is called one, is masked.
        origin: `default`, a file, a profile of it, or an environment variable.

    """

    key: str
    value: Any
    origin: str


def show_config(
    folder: str, profile: str | None = None, keys: Sequence[str] = ()
) -> list[ShownSetting]:
    """Return the settings that hold in a folder; the command line can win over any of them.

    Args:
        folder: whose configuration counts.
        profile: of the configuration.
        keys: only these, and what is in tables of these names; none: all.

    Raises:
        UsageError: the configuration cannot be read, or holds what it may not.
        NotFoundError: there is no such setting.

    """
    project = find_project(folder)
    settings = load_settings(project, profile)  # checks all of it
    file, table = read_configuration(project)
    profiles = table.pop("profiles", {})
    layers = [(file, table)]
    if profile is not None:
        layers.append((f"{file}, profile {profile}", profiles[profile]))
    found = {
        key: ShownSetting(key, value, DEFAULT)
        for key in settings.__dataclass_fields__
        if key != "engines"
        for key, value in _flat(key, _json(getattr(type(settings)(), key)))
    }
    found["prefix"] = ShownSetting("prefix", DEFAULT_PREFIX, DEFAULT)
    for origin, values in layers:
        for name, value in values.items():
            if isinstance(value, Mapping):  # a table replaces the one below it
                found = {key: one for key, one in found.items() if not _is_in(key, name)}
            found |= {key: ShownSetting(key, leaf, origin) for key, leaf in _flat(name, value)}
    if prefix := os.environ.get(PREFIX_VARIABLE):
        found["prefix"] = ShownSetting("prefix", prefix, f"the variable {PREFIX_VARIABLE}")
    _check_keys(keys, found)
    return [
        ShownSetting(one.key, masked_value(one.value, one.key.rpartition(".")[2]), one.origin)
        for one in found.values()
        if not keys or any(_is_in(one.key, key) for key in keys)
    ]


def _check_keys(keys: Sequence[str], found: Mapping[str, ShownSetting]) -> None:
    for key in keys:
        if not any(_is_in(one, key) for one in found):
            raise NotFoundError(
                f"no setting is called `{key}`",
                hint=did_you_mean(key, found) or "marin-build config show",
            )


def _is_in(key: str, name: str) -> bool:
    return key == name or key.startswith(f"{name}.")


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the settings in a table; an empty table is one itself."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}", inner)
    else:
        yield key, value


def _json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
