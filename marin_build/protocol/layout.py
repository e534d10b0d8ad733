"""Names of the files beside an output, shared with Marin where Marin has them, and of our marks."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from marin_build.identity.payload import HASHED_NAME
from marin_build.store.base import GUARD
from marin_build.workspace.own_folder import make_folder
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
NOWHERE = "/dev/null/marin-build"
"""A folder that cannot be: where logs lie of a run that left none on this machine."""
_KEPT = frozenset((STATUS, LEASE, LOGS, GUARD, RECORD, ARTIFACT, ACCEPTED))
_UNFINISHED = re.compile(r"(.+)\.\d+-\d+\.tmp")
"""The name of a file whose writer was killed; before it, the name that the file was to have."""


def is_kept(name: str) -> bool:
    """Return whether something right in an output stays when the output is cleared.

    Record and artifact too: only a commit may change them, and it does so on a condition.
    """
    return name in _KEPT


def is_ours(name: str) -> bool:
    """Return whether something right in an output is no data, but a file or folder of ours."""
    if name in _KEPT or name == CHANGED:
        return True
    unfinished = _UNFINISHED.fullmatch(name)
    return unfinished is not None and unfinished[1] in _KEPT


def status_path(output: str | os.PathLike[str]) -> str:
    """Return where the status of an output lies."""
    return os.path.join(output, STATUS)


def attempt_name(attempt: int) -> str:
    """Return the name of an attempt's document inside `.logs`."""
    return f"attempt-{attempt:04}.json"


def attempt_number(name: str) -> int | None:
    """Return the attempt a document's name stands for, or None for other files."""
    number = name.removeprefix("attempt-").removesuffix(".json")
    return int(number) if name == f"attempt-{number}.json" and number.isdigit() else None


def number_of(name: str) -> int | None:
    """Return the attempt that the name of a document or of a log stands for; None: of neither."""
    return attempt_number(f"{name.removesuffix('.log')}.json" if name.endswith(".log") else name)


def attempt_path(output: str, attempt: int) -> str:
    """Return the path of an attempt's document."""
    return f"{output}/{LOGS}/{attempt_name(attempt)}"


def log_path(output: str, attempt: int) -> str:
    """Return the path of an attempt's log."""
    return f"{output}/{LOGS}/attempt-{attempt:04}.log"


def ranks_folder(output: str, attempt: int) -> str:
    """Return the folder in which the ranks of a gang say how they ended."""
    return f"{output}/{LOGS}/attempt-{attempt:04}"


def rank_log_path(output: str, attempt: int, rank: int) -> str:
    """Return the path of the log of a rank of a gang; that of its leader is the attempt's own."""
    if not rank:
        return log_path(output, attempt)
    return f"{ranks_folder(output, attempt)}/rank-{rank}.log"


def output_under(prefix: str, name: str, target: str) -> str:
    """Return where the output of a target lies, unless its step has a path of its own."""
    version = version_of(name, target)
    return f"{prefix}/{target}" if version is None else f"{prefix}/{name}/{version}"


def target_under(inside: str, said: object = None) -> tuple[str, str]:
    """Return name and id of the target whose output lies in a folder: what `output_under` undoes.

    `a/b_1a2b3c4d` may be a step `a/b`, or the version `b_1a2b3c4d` of `a`: a document there tells.

    Args:
        inside: the folder, as it is called inside the prefix.
        said: the id that a document there says, if it says one.

    """
    above, _, last = inside.rpartition("/")
    version = (above, f"{above}@{last}")
    hashed = HASHED_NAME.fullmatch(inside)
    if hashed is None or (above and said == version[1]):
        return version if above else (inside, inside)
    return hashed["name"], inside


def version_of(name: str, target: str) -> str | None:
    """Return the version in a target's id, `name@version`; None if its id ends in a hash."""
    version = target.removeprefix(f"{name}@")
    return version if version != target else None


def prefix_of_output(output: str, name: str, target: str) -> str | None:
    """Return the prefix that an output lies under; None if its step has a path of its own."""
    end = output_under("", name, target)
    prefix = output.removesuffix(end)
    return prefix if prefix and prefix != output else None


def latest_path(prefix: str, name: str) -> str:
    """Return where people find the newest build of a name: a link, or an object that names it."""
    return f"{prefix}/.marin-build/latest/{name.replace('/', '~')}"  # no name has a tilde


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


def trash_folder(prefix: str) -> str:
    """Return the folder of what `gc` moved out of the way, and deletes."""
    return f"{prefix}/.marin-build/trash"


def local_log_path(output: str, target: str, lease: Lease) -> str:
    """Return the local file that takes what an attempt prints; it need not be there.

    Beside a local output; for a remote one in the private folder of the run, sent there at the end.
    """
    if not is_url(output):
        return log_path(output, lease.attempt)
    from marin_build.workspace.private_folder import find_private_folders

    folders = find_private_folders(lease.run) or (NOWHERE,)
    paths = [log_path(os.path.join(folder, target), lease.attempt) for folder in folders]
    return next(filter(os.path.exists, paths), paths[0])


def local_logs_folder(output: str, target: str, run: str) -> str:
    """Return the folder of a target's logs on this machine, while a run builds it here.

    It need not be there.
    """
    if not is_url(output):
        return f"{output}/{LOGS}"
    from marin_build.workspace.private_folder import find_private_folders

    paths = [os.path.join(it, target, LOGS) for it in find_private_folders(run) or (NOWHERE,)]
    return next(filter(os.path.exists, paths), paths[0])


def new_local_log(output: str, target: str, lease: Lease) -> str:
    """Return the same for an attempt that begins here, and make the folder it lies in.

    Raises:
        OSError: the folder cannot be made.

    """
    if not is_url(output):
        path = log_path(output, lease.attempt)
    else:
        from marin_build.workspace.private_folder import private_folder

        path = log_path(os.path.join(private_folder(lease.run), target), lease.attempt)
    make_folder(os.path.dirname(path))
    return path
