"""Files by path or URL, as rigging opens them: fsspec's own functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os


def url_to_fs(url: str | os.PathLike[str], **options: Any) -> tuple[Any, str]:
    """Return the file system of a path or URL, and the path in it."""
    import fsspec

    found: tuple[Any, str] = fsspec.core.url_to_fs(_text(url), **options)
    return found


def open_url(url: str | os.PathLike[str], mode: str = "rb", **options: Any) -> Any:
    """Return a file of fsspec, which a `with` block opens."""
    import fsspec

    return fsspec.open(_text(url), mode, **options)


def filesystem(protocol: str, **options: Any) -> Any:
    """Return the file system of a scheme: `gs`, `file`."""
    import fsspec

    return fsspec.filesystem(protocol, **options)


def is_remote_path(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is not on this machine's disks."""
    scheme, mark, _ = _text(path).partition("://")
    return bool(mark) and scheme not in {"file", "local"}


def _text(url: str | os.PathLike[str]) -> str:
    return str(url)
