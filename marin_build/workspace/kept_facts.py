"""Facts that a process found out and keeps for later ones, in the project's `.marin-build/facts`.

A fact is kept for the same user, Python, search path and version of marin-build only. A file that
another user may have written, or that is damaged, counts as missing. What the facts rest on, and
whether that is still the same, those who keep them check.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from typing import Any

from marin_build._package import FOLDER
from marin_build._version import __version__
from marin_build.untrusted_json import parse_json, table
from marin_build.workspace.own_files import open_own
from marin_build.workspace.own_folder import NAME, make_folder

_FORM = 1
_LONGEST = 64 << 20
"""Bytes of the longest file that is read: the code of hundreds of thousands of functions fits."""
_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def read_facts(project: str, subject: str) -> dict[str, Any]:
    """Return the facts that were kept about a subject, as JSON values.

    Raises:
        OSError: none were, or the file cannot be read.
        ValueError: this user has not written the file, or it is damaged.

    """
    with open(open_own(_file_of(project, subject), os.O_RDONLY, any_folder=True), "rb") as stream:
        status = os.fstat(stream.fileno())
        if status.st_uid != os.geteuid() or status.st_mode & _OTHERS:
            raise ValueError("another user may have written it")
        if status.st_size > _LONGEST:
            raise ValueError("it is too long")
        document = table(parse_json(stream.read(_LONGEST)))
    if document.get("made_for") != _made_for(project):
        raise ValueError("it was made for another Python, or in another place")
    return table(document.get("facts"))


def keep_facts(project: str, subject: str, facts: dict[str, Any]) -> None:
    """Keep facts about a subject in place of those that were kept before.

    Raises:
        OSError: the project cannot be written to.

    """
    file = _file_of(project, subject)
    make_folder(os.path.dirname(file))
    temporary = f"{file}.{os.getpid()}"
    descriptor = open_own(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="ascii") as stream:
        json.dump({"made_for": _made_for(project), "facts": facts}, stream)
    os.replace(temporary, file)


def _made_for(project: str) -> list[str | int]:
    folders = json.dumps([os.path.abspath(folder) for folder in sys.path])
    return [_FORM, __version__, FOLDER, sys.version, sys.prefix, os.geteuid(), project, folders]


def _file_of(project: str, subject: str) -> str:
    made_for = json.dumps([subject, *_made_for(project)])
    name = hashlib.sha256(made_for.encode()).hexdigest()[:32]
    return os.path.join(project, NAME, "facts", name)
