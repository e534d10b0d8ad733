"""Which files of a project go into a bundle of its code, and which must not.

Outputs, saved plans and compiled Python are no code. What may hold a secret is refused.
"""

from __future__ import annotations

import fnmatch
import json
import os
import stat
from typing import TYPE_CHECKING

from marin_build.errors import UsageError
from marin_build.operations.engine_jobs.project_files import files_of, unreadable
from marin_build.protocol.layout import STATUS
from marin_build.text.readable import bytes_text, printable
from marin_build.workspace.code_zip import Entry
from marin_build.workspace.own_folder import NAME
from marin_build.workspace.workspace import relative_to

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from marin_build.operations.engine_jobs.project_files import Found

_NEVER = {NAME, "__pycache__", ".git"}
_PLAN = "plan.json"
_OUTPUT = f"/{STATUS}"
_SECRETS = (
    *(".env", ".env.*", "*.env", ".netrc", "_netrc", ".pypirc", ".git-credentials", ".htpasswd"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.kdbx", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"),
    *("credentials.json", "application_default_credentials.json", "kubeconfig"),
)
_NO_SECRETS = (".env.example", ".env.sample", ".env.template", ".env.dist", "*.example.env")
_SHOWN = 10
_TRIES = 3
_NOTHING = "nothing was submitted"


def entries_of(project: str, leave_out: str | None, limit: int) -> list[Entry]:
    """Return the files of a project as entries of a zip.

    Args:
        project: its folder.
        leave_out: a folder with outputs, which may lie inside it.
        limit: bytes that they may have together.

    Raises:
        UsageError: git cannot list them; they are too large; one of them may hold secrets, has no
            name in UTF-8, cannot be read, or is a link that leads elsewhere in the job.

    """
    outputs = relative_to(leave_out, project) if leave_out is not None else ""
    found = {
        each.path: each
        for each in files_of(project)
        if not _NEVER.intersection(each.path.split("/"))
        and not (outputs and each.path.startswith(f"{outputs}/"))
    }
    for path in [*_of_plans(project, found), *_of_outputs(found)]:
        found.pop(path, None)
    _refuse_names(found.values())
    states = {path: state for path in found if (state := _state(project, path)) is not None}
    _refuse_size({path: state.st_size for path, state in states.items()}, limit)
    return [_entry(project, path) for path in states]


def _of_plans(project: str, found: Iterable[str]) -> Iterator[str]:
    """Yield the files of saved plans: they hold bundles, and say nothing to a job."""
    for path in found:
        if path.rpartition("/")[2] != _PLAN:
            continue
        try:
            with open(os.path.join(project, path), "rb") as stream:
                plan = json.load(stream)
        except (OSError, ValueError, RecursionError):
            continue  # another program's, and code for all we know
        if isinstance(plan, dict) and "plan_id" in plan and isinstance(plan.get("files"), dict):
            folder = path.removesuffix(_PLAN)
            yield path
            yield from (f"{folder}{name}" for name in plan["files"])


def _of_outputs(found: Iterable[str]) -> list[str]:
    """Return the files of outputs under other prefixes: each has a status file."""
    outputs = {path.removesuffix(STATUS) for path in found if path.endswith(_OUTPUT)}
    return [path for path in found if outputs and any(_folders(path, outputs))]


def _folders(path: str, known: Collection[str]) -> Iterator[str]:
    """Yield the known folders, with their `/`, that a path lies in."""
    end = path.rfind("/")
    while end > 0:
        if path[: end + 1] in known:
            yield path[: end + 1]
        end = path.rfind("/", 0, end)


def _refuse_names(found: Iterable[Found]) -> None:
    """Refuse what must not, or cannot, be in a bundle by its name."""
    secret, unnamed = [], []
    for each in found:
        if not each.is_tracked and may_hold_secrets(each.path.rpartition("/")[2]):
            secret.append(each.path)
        try:
            each.path.encode()
        except UnicodeEncodeError:
            unnamed.append(each.path)
    if secret:
        raise UsageError(
            "the bundle of the project's code would hold files that may hold secrets",
            facts=[("files", _named(secret))],
            consequence=_NOTHING,
            hint="name them in .gitignore, or move them out of the project; a bundle lies under "
            "the prefix, where all who read outputs can read it",
        )
    if unnamed:
        raise UsageError(
            "the bundle of the project's code cannot hold files whose names are no UTF-8",
            facts=[("files", _named(unnamed))],
            consequence=_NOTHING,
            hint="rename them, or name them in .gitignore",
        )


def may_hold_secrets(name: str) -> bool:
    """Return whether files of that name usually hold secrets."""
    name = name.lower()
    is_one = any(fnmatch.fnmatchcase(name, pattern) for pattern in _SECRETS)
    return is_one and not any(fnmatch.fnmatchcase(name, pattern) for pattern in _NO_SECRETS)


def _state(project: str, path: str) -> os.stat_result | None:
    """Return the state of a file; None if it is gone, or nothing that code is made of."""
    try:
        state = os.lstat(os.path.join(project, path))
    except (FileNotFoundError, NotADirectoryError):
        return None  # git still tracks it
    except OSError as error:
        raise unreadable(path, error) from error
    is_one = stat.S_ISREG(state.st_mode) or stat.S_ISLNK(state.st_mode)
    return state if is_one else None


def _refuse_size(sizes: Mapping[str, int], limit: int) -> None:
    total = sum(sizes.values())
    if total <= limit:
        return
    largest = sorted(sizes, key=lambda path: (-sizes[path], path))[:_SHOWN]
    lines = [f"{bytes_text(sizes[path])}  {printable(path)}" for path in largest]
    raise UsageError(
        f"the bundle of the project's code would have {bytes_text(total)}, "
        f"and may have {bytes_text(limit)}",
        facts=[("files", f"{len(sizes):,}"), ("largest", "\n".join(lines))],
        consequence=_NOTHING,
        hint="let git ignore what is no code, or move it out of the project, or raise the "
        "engine's setting `bundle_limit`",
    )


def _entry(project: str, path: str) -> Entry:
    """Return a file as it is now; read again if it changes meanwhile."""
    place = os.path.join(project, path)
    try:
        if os.path.islink(place):
            return Entry(path, _link(project, path), is_link=True)
        for _ in range(_TRIES):
            with open(place, "rb") as stream:
                before = os.fstat(stream.fileno())
                data = stream.read()
                after = os.fstat(stream.fileno())
            if _version(before) == _version(after) and len(data) == after.st_size:
                return Entry(path, data, is_program=bool(after.st_mode & stat.S_IXUSR))
    except OSError as error:
        raise unreadable(path, error) from error
    raise UsageError(
        f"`{printable(path)}` changes while it is read",
        consequence=_NOTHING,
        hint="end what writes it, or name it in .gitignore",
    )


def _version(state: os.stat_result) -> tuple[int, int, int]:
    return state.st_size, state.st_mtime_ns, state.st_ino


def _link(project: str, path: str) -> bytes:
    """Return where a link leads, if that is the same place, or one inside the project, in a job."""
    target = os.readlink(os.path.join(project, path))
    if os.path.isabs(target):
        roots = (f"{project}/", f"{os.path.realpath(project)}/")
        is_right = not f"{os.path.normpath(target)}/".startswith(roots)
    else:
        inside = os.path.normpath(os.path.join(os.path.dirname(path), target))
        is_right = inside != ".." and not inside.startswith("../")
    if not is_right:
        raise UsageError(
            f"the link `{printable(path)}` would lead to another place in a job",
            facts=[("leads to", printable(target))],
            consequence=_NOTHING,
            hint="make it relative, and let it stay inside the project; or name it in .gitignore",
        )
    return os.fsencode(target)


def _named(paths: list[str]) -> str:
    more = [f"and {len(paths) - _SHOWN} more"] if len(paths) > _SHOWN else []
    return "\n".join([*(printable(path) for path in sorted(paths)[:_SHOWN]), *more])
