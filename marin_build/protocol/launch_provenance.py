"""Who started a build, when, and from which state of the code, as records of Marin have it.

`MARIN_PROVENANCE` carries it into jobs, where there is no git checkout and another user runs.
"""

from __future__ import annotations

import dataclasses
import functools
import getpass
import json
import logging
import os
import re
import sys
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from marin_build.errors import MarinBuildError
from marin_build.protocol.provenance import git_answer, without_secret_words

LAUNCH_PROVENANCE_ENV = "MARIN_PROVENANCE"
_MACHINES = frozenset({"root", "runner", "ubuntu", "exedev"})
"""Logins of machines: who gets one of these as user has not said who they are."""
_NOT_IN_SEGMENT = re.compile(r"[^a-z0-9_-]+")
_CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")
_log = logging.getLogger("marin_build.provenance")


class NoUserError(MarinBuildError, RuntimeError):
    """Neither the system nor the job says who the user is."""


@dataclass(frozen=True)
class Provenance:
    """What started a build.

    Args:
        tree_hash: git's hash of the files as they were, changed ones included; empty: no checkout.
        base_commit: the commit they were changed from, shortened; empty: no checkout.
        dirty: whether there were changed or new files.
        branch: its name; None: none was checked out.
        built_by: the user; None: unknown.
        git_remote: the URL of `origin`, without credentials; None: there is none.
        created_at: when, as ISO 8601; empty: unknown.
        command_line: the program and its arguments, without what looks like a secret.

    """

    tree_hash: str
    base_commit: str
    dirty: bool
    branch: str | None
    built_by: str | None
    git_remote: str | None = None
    created_at: str = ""
    command_line: tuple[str, ...] = ()

    @classmethod
    def capture(cls, repo_dir: str | os.PathLike[str] | None = None) -> Provenance:
        """Return what started this process; what is not known is empty or None."""
        if (published := _published()) is not None:
            return published

        def git(*args: str) -> str:
            return git_answer(repo_dir or os.curdir, *args) or ""

        changed = git("stash", "create")  # a commit of the changes that no branch holds
        return cls(
            tree_hash=git("rev-parse", "--short", f"{changed or 'HEAD'}^{{tree}}"),
            base_commit=git("rev-parse", "--short", "HEAD"),
            dirty=bool(git("status", "--porcelain", "--untracked-files=all")),
            branch=git("symbolic-ref", "--short", "-q", "HEAD") or None,
            built_by=login(),
            git_remote=_CREDENTIALS.sub("", git("remote", "get-url", "origin")) or None,
            created_at=datetime.now().isoformat(),  # noqa: DTZ005 - as Marin writes it
            command_line=without_secret_words(sys.argv),
        )

    @classmethod
    def from_json(cls, raw: str) -> Provenance:
        """Return what `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError: it is no such text.

        """
        said: dict[str, Any] = json.loads(raw)
        if not isinstance(said.get("built_by"), str | None):
            raise TypeError("`built_by` is a text or null")
        return cls(
            said["tree_hash"],
            said["base_commit"],
            bool(said["dirty"]),
            said.get("branch"),
            said.get("built_by"),
            said.get("git_remote"),
            said.get("created_at", ""),
            tuple(said.get("command_line", ())),
        )

    def to_json(self) -> str:
        """Return it as JSON, for `MARIN_PROVENANCE`."""
        return json.dumps(dataclasses.asdict(self))


_capturing = threading.Lock()
_own = ""
"""What this process published itself, for its last run."""


def launch_provenance() -> Provenance:
    """Return what started this process; git is asked once."""
    with _capturing:  # two at once would ask git twice, and one would find its index locked
        return _captured_once()


@functools.cache
def _captured_once() -> Provenance:
    return Provenance.capture()


def publish_provenance(project: str) -> None:
    """Have the processes that this one starts record its own provenance: git is asked once a run.

    What another process published before stays: that one started this one.

    Args:
        project: the project's folder, which may be a git checkout.

    """
    global _own  # noqa: PLW0603 - one environment for the process, too
    if os.environ.get(LAUNCH_PROVENANCE_ENV, _own) == _own:
        os.environ.pop(LAUNCH_PROVENANCE_ENV, None)
        _own = os.environ[LAUNCH_PROVENANCE_ENV] = Provenance.capture(project).to_json()


def username_segment() -> str:
    """Return the user as one segment of a path: of whom started the job, else of this process.

    Raises:
        NoUserError: neither the system nor the job says who that is; a RuntimeError.

    """
    published = _published()
    user = (published.built_by if published is not None else None) or login()
    if not user:
        raise NoUserError(
            "who is the user? Neither the system nor the job says it",
            hint="set LOGNAME, so that a dev version does not land in a folder of all users",
        )
    segment = _NOT_IN_SEGMENT.sub("-", user.strip().partition("@")[0].lower()).strip("-")
    if not segment:
        raise NoUserError(f"the user `{user}` leaves nothing that can be part of a path")
    if segment in _MACHINES:
        _log.warning("the user is `%s`, a machine's login: set %s", segment, LAUNCH_PROVENANCE_ENV)
    return segment


def _published() -> Provenance | None:
    raw = os.environ.get(LAUNCH_PROVENANCE_ENV)
    if not raw:
        return None
    try:
        return Provenance.from_json(raw)
    except (ValueError, KeyError, TypeError, AttributeError):
        _log.warning("%s is not readable, and is ignored", LAUNCH_PROVENANCE_ENV)
        return None


def login() -> str | None:
    """Return who runs this program; None if the system has no name for the user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without an entry
        return None
