"""The file that configures a project, and its table.

What it may hold, operations/loading/config.py says.
"""

from __future__ import annotations

import os
from typing import Any

from marin_build.errors import UsageError
from marin_build.workspace.regular_files import read_regular

CONFIG_FILE = "marin-build.toml"
SHARED_FILE = "pyproject.toml"
_SECTION = b"[tool.marin-build"


def read_configuration(project: str) -> tuple[str, dict[str, Any]]:
    """Return the configuration file's name and its table; both empty without one.

    Raises:
        UsageError: the file is not readable.

    """
    own = os.path.join(project, CONFIG_FILE)
    if os.path.exists(own):
        return CONFIG_FILE, _parse(own)
    shared = os.path.join(project, SHARED_FILE)
    try:
        if _SECTION not in read_regular(shared):  # saves the import of a parser
            return "", {}
    except OSError:
        return "", {}
    table = _parse(shared).get("tool", {}).get("marin-build", {})
    return SHARED_FILE, table


def read_setting(project: str, name: str) -> str | None:
    """Return a setting that is text, without any profile; None if the configuration lacks it.

    Raises:
        UsageError: the file is not readable, or the setting is not text.

    """
    file, table = read_configuration(project)
    value = table.get(name)
    if value is not None and not isinstance(value, str):
        raise UsageError(
            f"the setting `{name}` is not a string",
            facts=[("configuration", file), ("value", repr(value))],
        )
    return value


def _parse(file: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(read_regular(file).decode())
    except (OSError, ValueError) as error:  # no TOML, or not even UTF-8
        raise UsageError(
            f"cannot read the configuration `{file}`", facts=[("reason", str(error))]
        ) from error
