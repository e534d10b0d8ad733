"""What of this machine stands in the way: programs, disks, folders, clocks, and the store."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from typing import TYPE_CHECKING

from marin_build._version import __version__
from marin_build.errors import MarinBuildError
from marin_build.observe.try_store import try_store
from marin_build.operations.checks.checkup import Checkup, Finding
from marin_build.store.lease_choice import read_mark, refuse_without_locks, way_without_mark
from marin_build.store.mounts import is_shared, probe_locks
from marin_build.store.open_store import open_store
from marin_build.store.try_locks import why_not
from marin_build.text.readable import bytes_text
from marin_build.workspace.own_folder import NAME
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.store.lease_by import LeaseBy

_LITTLE_SPACE = 1 << 30
_CLOCK_SECONDS = 30.0
_SLOW = 1.0
"""Seconds of a request from which on it is worth a word."""


def examine_machine(project: str) -> Checkup:
    """Look at the machine: programs that are used, space on disks, and the project's own folder.

    Args:
        project: its absolute folder.

    """
    return Checkup("machine", platform.node(), tuple(_machine(project)))


def _machine(project: str) -> Iterator[Finding]:
    yield Finding(f"Python {platform.python_version()}, marin-build {__version__}")
    if shutil.which("git") is None:
        yield Finding(
            "git is not installed: records name no commit, `diff` and `changed-since:` cannot work",
            remedy="install git",
        )
    for what, folder in (("the project", project), ("temporary files", tempfile.gettempdir())):
        try:
            free = shutil.disk_usage(folder).free
        except OSError:
            continue
        low = free < _LITTLE_SPACE
        yield Finding(
            f"{bytes_text(free)} free for {what}",
            remedy=f"make space on the disk of {folder}" if low else None,
        )
    own = os.path.join(project, NAME)
    place = own if os.path.isdir(own) else project
    if not os.access(place, os.W_OK):
        yield Finding(
            f"{place} cannot be written to: digests of inputs are not kept, so each plan reads "
            "all inputs again",
            remedy="give yourself the right to write there",
        )


def examine_prefix(prefix: str, lease_by: LeaseBy = "auto") -> Checkup:
    """Try in the store whether leases hold, and read its clock.

    Args:
        prefix: where outputs live: an absolute folder, or a URL.
        lease_by: what the configuration says about leases on a local disk.

    """
    try:
        return Checkup("prefix", prefix, tuple(_prefix(prefix, lease_by)))
    except MarinBuildError as error:
        return Checkup("prefix", prefix, problem=error)
    except OSError as error:
        return Checkup("prefix", prefix, problem=MarinBuildError(f"cannot write: {error.strerror}"))


def _leases(prefix: str, lease_by: LeaseBy) -> Finding:
    """Say what keeps other runs out at a local prefix.

    Raises:
        StoreError: what the configuration insists on does not hold there.

    """
    if lease_by == "documents":
        return Finding("leases are documents: the setting `lease_by` says so")
    if lease_by == "kernel":
        refuse_without_locks(prefix)
    elif why := why_not(prefix):
        return Finding(f"leases are documents: {why}")
    if (said := read_mark(prefix)) is not None:
        return Finding(
            f"leases are documents, because of builders that do not see locks: {said}",
            remedy=way_without_mark(prefix),
        )
    return Finding("leases are locks of the kernel; those of steps over a second, documents too")


def _prefix(prefix: str, lease_by: LeaseBy) -> Iterator[Finding]:
    store = open_store(prefix)
    if not store.conditional:
        yield Finding(
            "has no conditional writes: it can be read, and nothing can be built there",
            remedy="use a prefix in gs://, s3://, az:// or on a disk",
        )
        return
    trial = try_store(store, prefix)
    for broken in trial.broken:
        yield Finding(broken, remedy="do not build here: leases do not hold", is_broken=True)
    if not trial.broken:
        yield Finding("conditional writes hold")
    if not is_url(prefix) and is_shared(prefix):
        if os.path.isdir(prefix):
            probe_locks(prefix)
        yield Finding("on a file system that machines share; its locks hold between processes here")
    if not is_url(prefix):
        yield _leases(prefix, lease_by)
    if is_url(prefix):
        slow = trial.seconds > _SLOW
        yield Finding(
            f"a request takes {trial.seconds * 1000:.0f} ms",
            remedy="build in the region of the bucket" if slow else None,
        )
    if trial.ahead is not None and abs(trial.ahead) > _CLOCK_SECONDS:
        direction = "ahead of" if trial.ahead > 0 else "behind"
        yield Finding(
            f"this machine's clock is {abs(trial.ahead):.0f} s {direction} the store's: times in "
            "records, and which build counts as the newest, are wrong",
            remedy="set the clock: `timedatectl set-ntp true`",
        )
