"""What a text names: a place of a remote store, or a folder of this machine; never both."""

from __future__ import annotations

import os
import re

from marin_build.errors import UsageError

STORES = ("gs", "gcs", "s3", "s3a", "az", "abfs", "abfss")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_ONE_SLASH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(?!/)(.*)", re.DOTALL)
_NO_COLON = re.compile(rf"({'|'.join(STORES)})(?::|//)(.*)", re.DOTALL | re.IGNORECASE)


def is_url(path: str) -> bool:
    """Return whether `path` names a place of a remote store (`scheme://...`)."""
    return "://" in path and not path.startswith(("/", ".", "~"))


def is_relative(path: str | os.PathLike[str]) -> bool:
    """Return whether `path` lies below a folder that is named elsewhere: no URL, `/` or `~`."""
    return not os.fspath(path).startswith(("/", "~")) and not is_url(os.fspath(path))


def checked_place(text: str) -> str:
    """Return a place as it is written, the scheme of a URL in small letters.

    Args:
        text: a URL or a folder. One that begins like a URL is a folder if it begins with `./`.

    Raises:
        UsageError: it is nearly a URL: a folder of that name is not what was meant.

    """
    if ":" not in text and "//" not in text:
        return text
    if (url := _URL.fullmatch(text)) is not None:
        scheme, rest = url[1].lower(), url[2]
        if (scheme in STORES and rest.startswith(("/", "?"))) or not rest.strip("/"):
            raise _no_place(text, "it names no bucket", f"{scheme}://BUCKET/{rest.strip('/')}")
        return f"{scheme}://{rest}"
    if text.startswith("://"):
        raise _no_place(text, "it names no scheme", f"gs{text}")
    if (near := _ONE_SLASH.fullmatch(text) or _NO_COLON.fullmatch(text)) is not None:
        meant = f"{near[1].lower()}://{near[2].lstrip('/')}"
        raise _no_place(text, "it is nearly a URL", meant)
    return text


def refuse_url(text: str, what: str, example: str) -> None:
    """Refuse a URL where only a file or folder of this machine can be.

    Args:
        text: as it was given.
        what: is to be there.
        example: how it is given, in the hint.

    Raises:
        UsageError: it is a URL, or nearly one.

    """
    if is_url(checked_place(text)):
        raise UsageError(
            f"`{text}` is a URL, and {what} is written and read on this machine",
            consequence="nothing was done",
            hint=f"name a place on this machine: {example}",
        )


def _no_place(text: str, why: str, meant: str) -> UsageError:
    return UsageError(
        f"`{text}` is neither a URL nor a folder: {why}",
        consequence="nothing was done",
        hint=f"write {meant.rstrip('/')} for a bucket, ./{text} for a folder of that name",
    )


def is_readable_from(place: str, prefix: str) -> bool:
    """Return whether the store of a prefix can read a place that a record names.

    Args:
        place: what the record says, which may be anything.
        prefix: an absolute folder, or a URL.

    """
    start = f"{prefix.partition('://')[0]}://" if is_url(prefix) else "/"
    return place.startswith(start) and "\0" not in place
