"""Legal names of steps, and near misses for unknown names."""

from __future__ import annotations

import re

from marin_build.errors import SpecificationError

# Names with a dot before them are ours: `.logs`. In selectors a `+` before one means all it needs.
_SEGMENT = r"(?![.+])[A-Za-z0-9._+-]+"
_NAME = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*", re.ASCII)
_VERSION = re.compile(_SEGMENT, re.ASCII)
BUDGET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
"""What a named budget may be called."""
_RULE = (
    "segments of letters, digits, `.`, `_`, `-`, `+`, joined by `/`; none begins with `.` or `+`"
)
# A file name may have 255 bytes; the hash, the version and our dot files need some of them.
_LONGEST_SEGMENT = 200


def name_problem(name: object) -> str | None:
    """Return why `name` is not a legal step name, or None."""
    if type(name) is not str:
        return f"a name is a string, not {type(name).__name__}"
    if not _NAME.fullmatch(name):
        return f"a name is {_RULE}"
    if len(name) > _LONGEST_SEGMENT and max(map(len, name.split("/"))) > _LONGEST_SEGMENT:
        return f"a segment of a name has at most {_LONGEST_SEGMENT} characters"
    return None


def version_problem(version: str) -> str | None:
    """Return why `version` is not a legal version (one segment of a name), or None."""
    if _VERSION.fullmatch(version):
        return None
    return "a version is one segment of letters, digits, `.`, `_`, `-`, `+`"


def is_dev_version(version: str) -> bool:
    """Return whether what has this version is built anew each time: `dev`, `*-dev`."""
    return version == "dev" or version.endswith("-dev")


def illegal_name(name: object, problem: str, declared: str) -> SpecificationError:
    """Return the error for an illegal step name; `declared` is the place, `file:line`."""
    return SpecificationError(
        f"illegal step name `{_printable(name)}`",
        facts=[("declared", declared), ("rule", problem)],
        consequence="nothing was run",
    )


def _printable(value: object) -> str:
    """Return `value` on one line, cut to a length that fits one."""
    text = str(value).encode("unicode_escape").decode("ascii")
    longest = 80
    return text if len(text) <= longest else text[: longest - 3] + "..."
