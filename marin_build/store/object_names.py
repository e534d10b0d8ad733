"""The names of objects in a bucket, as URLs say them."""

from __future__ import annotations


def split_url(path: str) -> tuple[str, str]:
    """Return bucket and name of a URL, to the letter: `?`, `#` and `%` mean nothing in a name."""
    bucket, _, name = path.partition("://")[2].partition("/")
    return bucket, name


def folder_prefix(name: str) -> str:
    """Return the prefix of the names in a folder; that of a whole bucket is empty."""
    name = name.rstrip("/")
    return name + "/" if name else ""
