"""What a step finished and its store did not take: a file of this machine says what to commit."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from typing import Literal

from pydantic import BaseModel, ConfigDict

from marin_build.protocol.documents import Publication  # noqa: TC001 - pydantic reads it

_LARGEST = 256 << 20
"""Bytes of the largest file that is read."""


class SetAside(BaseModel):
    """What is to be committed at an output path; `is_listed`: whether its files are known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    output: str
    attempt: int
    is_listed: bool
    publication: Publication


def set_aside(aside: SetAside) -> None:
    """Write down what is to be committed later.

    Raises:
        OSError: it cannot be written.

    """
    path = _path(aside.output)
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(aside.model_dump_json().encode())
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def set_aside_of(output: str) -> SetAside | None:
    """Return what is to be committed at an output path; None if there is nothing, or not ours."""
    try:
        descriptor = os.open(_path(output), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    found = os.fstat(descriptor)
    is_ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.getuid()
    if not is_ours or found.st_size > _LARGEST:
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as stream:
        try:
            aside = SetAside.model_validate_json(stream.read())
        except (ValueError, OSError):
            return None  # it is built again
    return aside if aside.output == output else None


def forget_set_aside(output: str) -> None:
    """Forget what was to be committed: it is, or it is to be built anew."""
    with suppress(OSError):
        os.unlink(_path(output))


def _path(output: str) -> str:
    """Return the file for an output path, in a folder that only its user can change."""
    state = os.environ.get("XDG_STATE_HOME") or f"{os.path.expanduser('~')}/.local/state"
    name = hashlib.sha256(output.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{state}/marin-build/finished/{name}.json"
