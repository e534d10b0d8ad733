"""Names of the files beside an output, shared with Marin where Marin has them; names of taints."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from marin_build.protocol.lease import Lease


CHANGED = ".changed"
"""Says that a step has written into the output of another one, where sizes do not tell."""
STATUS = ".executor_status"
LEASE = ".executor_status.lock"
RECORD = ".executor_info"
ARTIFACT = ".artifact.json"
OLD_ARTIFACT = ".artifact"
"""Where Marin wrote artifacts once; read, never written."""
ACCEPTED = ".accepted.json"
"""Statements of people that later code would have built the same output."""
LOGS = ".logs"


def attempt_name(attempt: int) -> str:
    """Return the name of an attempt's document inside `.logs`."""
    return f"attempt-{attempt:04}.json"


def attempt_number(name: str) -> int | None:
    """Return the attempt a document's name stands for, or None for other files."""
    number = name.removeprefix("attempt-").removesuffix(".json")
    return int(number) if name == f"attempt-{number}.json" and number.isdigit() else None


def attempt_path(output: str, attempt: int) -> str:
    """Return the path of an attempt's document."""
    return f"{output}/{LOGS}/{attempt_name(attempt)}"


def log_path(output: str, attempt: int) -> str:
    """Return the path of an attempt's log."""
    return f"{output}/{LOGS}/attempt-{attempt:04}.log"


def bundles_folder(prefix: str) -> str:
    """Return the folder of the bundles of code that jobs load."""
    return f"{prefix}/.marin-build/bundles"


def bundle_name(digest: str) -> str:
    """Return the name of a bundle in that folder; `digest` is its sha-256 in hex."""
    return f"{digest}.zip"


def taints_folder(prefix: str) -> str:
    """Return the folder of the marks on tainted targets."""
    return f"{prefix}/.marin-build/tainted"


def taint_name(target_id: str) -> str:
    """Return the name of a target's mark in that folder."""
    return f"{target_id.replace('/', '~')}.json"  # no id has a tilde


def taint_path(prefix: str, target_id: str) -> str:
    """Return where the mark of a target is kept."""
    return f"{taints_folder(prefix)}/{taint_name(target_id)}"


def local_log_path(output: str, target: str, lease: Lease) -> str:
    """Return the local file that takes what an attempt prints.

    Beside a local output; for a remote one on this machine's disk, sent there at the end.
    """
    if not is_url(output):
        return log_path(output, lease.attempt)
    import tempfile  # brings half a dozen modules that planning does not use

    folder = os.path.join(tempfile.gettempdir(), f"marin-build-{os.getuid()}", lease.run)
    return log_path(os.path.join(folder, target), lease.attempt)
