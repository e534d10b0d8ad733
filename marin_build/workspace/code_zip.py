"""A zip of code that is the same, byte for byte, for the same files: names, contents, exec bits.

Names are sorted, times and all other rights are fixed, and nothing is compressed: what compresses
differs from one machine to another, and so would the sha-256 by which the zip is known.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_TIME = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip can hold."""
_FILE, _PROGRAM, _LINK = 0o100644, 0o100755, 0o120777
_UNIX = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or a link.

    Args:
        path: inside the project, `/`-joined; text in UTF-8.
        data: what the file holds, or where the link leads.
        is_program: whether it can be executed.
        is_link: whether it is a symbolic link.

    """

    path: str
    data: bytes
    is_program: bool = False
    is_link: bool = False


def zip_of(entries: Iterable[Entry]) -> bytes:
    """Return the zip of some entries, in whatever order they are given."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for entry in sorted(entries, key=lambda each: each.path.encode()):
            info = zipfile.ZipInfo(entry.path, _TIME)
            mode = _LINK if entry.is_link else _PROGRAM if entry.is_program else _FILE
            info.create_system, info.external_attr = _UNIX, mode << 16
            archive.writestr(info, entry.data)
    return stream.getvalue()


def zip_digest(data: bytes) -> str:
    """Return the name of a zip: its sha-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def unzip(data: bytes, folder: str) -> None:
    """Write the entries of a zip into an empty folder; links last, so that none is written through.

    Raises:
        ValueError: it is no zip of ours, or an entry would lie outside the folder.
        OSError: the folder cannot be written.

    """
    links: list[tuple[str, bytes]] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                name, mode = info.filename, info.external_attr >> 16
                if name.startswith("/") or {"", ".", ".."} & set(name.split("/")):
                    raise ValueError(f"it has an entry `{name}`")
                path = os.path.join(folder, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                content = archive.read(info)
                if stat.S_ISLNK(mode):
                    links.append((path, content))
                    continue
                with open(path, "xb") as stream:
                    stream.write(content)
                if mode & stat.S_IXUSR:
                    os.chmod(path, 0o755)  # noqa: S103 - as a checkout would have it
    except zipfile.BadZipFile as error:
        raise ValueError(str(error)) from error
    for path, content in links:
        os.symlink(content, path)
