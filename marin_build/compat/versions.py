"""Names and versions of Marin's artifacts: which are legal, and which versions are built anew."""

from __future__ import annotations

import re
from urllib.parse import urlparse

from marin_build.errors import SpecificationError
from marin_build.pipeline.names import is_dev_version

_CALENDAR = re.compile(r"\d{4}\.\d{2}\.\d{2}(\.\d+)?")
_RULE = "a day, YYYY.MM.DD or YYYY.MM.DD.N, or `dev`, or a text that ends in `-dev`"


def is_mutable_version(version: str) -> bool:
    """Return whether what has this version is built anew each time: `dev`, `*-dev`."""
    return is_dev_version(version)


def validate_path_segment(label: str, value: str) -> None:
    """Refuse a name or a version that could lead out of the folder of its artifact.

    Args:
        label: what it is, for the message.
        value: the text.

    Raises:
        SpecificationError: it is empty, or has a scheme, `..`, or a slash at one of its ends; a
            ValueError.

    """
    if not value:
        raise SpecificationError(f"{label} must not be empty")
    if "://" in value or urlparse(value).scheme:
        raise SpecificationError(f"{label} `{value}` must not have the scheme of a URL")
    if ".." in value:
        raise SpecificationError(f"{label} `{value}` must not contain `..`")
    if value.startswith("/") or value.endswith("/"):
        raise SpecificationError(f"{label} `{value}` must not begin or end with `/`")


def validate_version(version: str) -> None:
    """Refuse what is no version of an artifact.

    Raises:
        SpecificationError: it is neither a day nor a dev version; a ValueError.

    """
    validate_path_segment("version", version)
    if not is_mutable_version(version) and not _CALENDAR.fullmatch(version):
        raise SpecificationError(f"version `{version}` is none: it is {_RULE}")
