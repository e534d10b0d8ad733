"""The processes of a run, by what they are."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from marin_build.protocol.living_work import MARK
from tests.e2e.support import MARKER, is_running

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .schedule import Strike

OURS = ("applier", "guard", "template", "keeper", "body", "spare")
WORK = ("script", "child")


@dataclass(slots=True)
class Family:
    """The processes of one run.

    Args:
        by_kind: kind -> process ids, the oldest first.

    """

    by_kind: dict[str, list[int]] = field(default_factory=dict)

    def of(self, kinds: Iterable[str]) -> list[int]:
        """Return the processes of some kinds."""
        return [pid for kind in kinds for pid in self.by_kind.get(kind, ())]

    def all(self) -> list[int]:
        """Return all."""
        return self.of(self.by_kind)


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    parent: int
    is_ours: bool
    is_work: bool
    catches_alarm: bool
    reads_log: bool


_others: dict[int, int] = {}
"""Processes that are of no run: their ids, and when they began. Not read again: it takes long."""


def families() -> dict[str, Family]:
    """Return the processes of all runs that live: marker of a run -> its family."""
    by_marker: dict[str, dict[int, _Process]] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or _is_other(folder):
            continue
        if (found := _read(folder)) is not None:
            marker, process = found
            by_marker.setdefault(marker, {})[process.pid] = process
    return {marker: _family(processes) for marker, processes in by_marker.items()}


def _is_other(folder: Path) -> bool:
    """Return whether a process is of no run; a young one may become one, by `exec`."""
    pid = int(folder.name)
    with contextlib.suppress(OSError):
        began = folder.stat().st_ctime_ns
        if _others.get(pid) == began:
            return True
        if MARKER.encode() not in (folder / "environ").read_bytes():
            if time.time_ns() - began > _SETTLED_NS:
                _others[pid] = began
            return True
    return False


_SETTLED_NS = 30 * 10**9


def _read(folder: Path) -> tuple[str, _Process] | None:
    try:
        environ = (folder / "environ").read_bytes()
        if MARKER.encode() not in environ:
            return None
        variables = dict(
            word.decode(errors="replace").split("=", 1)
            for word in environ.split(b"\0")
            if b"=" in word
        )
        command = (folder / "cmdline").read_bytes()
        status = (folder / "status").read_text()
        log = str((folder / "fd/0").readlink()) if (folder / "fd/0").is_symlink() else ""
    except OSError:
        return None
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    if MARKER not in variables or fields["State"][0] in "ZX":
        return None
    caught = int(fields["SigCgt"], 16)
    return variables[MARKER], _Process(
        int(folder.name),
        int(fields["PPid"]),
        b"bin/marin-build\0" in command,
        MARK in variables,
        bool(caught >> (signal.SIGALRM - 1) & 1),
        log.endswith(".log"),
    )


def _family(processes: dict[int, _Process]) -> Family:
    family = Family()
    for process in sorted(processes.values(), key=lambda p: p.pid):
        family.by_kind.setdefault(_kind(process, processes), []).append(process.pid)
    return family


def _kind(process: _Process, all_: dict[int, _Process]) -> str:
    parent = all_.get(process.parent)
    if process.is_work:
        return "child" if parent is None or parent.is_work else "script"
    if not process.is_ours:
        return "front"
    if parent is None or not parent.is_ours:
        return "applier"  # or an orphan of one
    above = _kind(parent, all_)
    if process.catches_alarm:
        return "keeper"
    match above:
        case "applier":
            return "guard"
        case "guard":
            return "template"
        case "template":
            return "body" if process.reads_log else "spare"
    return "child"


def victims_of(strike: Strike, leader: int, family: Family) -> list[int]:
    """Return whom a strike means in a family; nobody if they are not there.

    Args:
        strike: the strike.
        leader: the process that was started, which leads a process group.
        family: the processes that it comes down to.

    """
    ours = family.of(OURS)
    match strike.kind:
        case "ours":
            return ours if _works(family) else []
        case "everything":
            return family.all() if _works(family) else []
        case "nearly":
            kept = [pid for pid in ours if pid not in family.of(("body", "spare"))]
            survivor = kept[strike.dice % len(kept)] if kept else 0
            return [pid for pid in ours if pid != survivor] if len(kept) > 1 else []
        case "group":
            return [leader] if is_running(leader) else []
        case kind:
            found = family.of((kind,))
            return [found[strike.dice % len(found)]] if found else []


def _works(family: Family) -> bool:
    """Return whether there is a step to orphan; one in a thread is no process."""
    in_threads = bool(family.of(("keeper",))) and not family.of(("guard",))
    return in_threads or bool(family.of((*WORK, "body")))


def send(pids: Iterable[int], number: int) -> None:
    """Send a signal to processes, those that are gone left out."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
