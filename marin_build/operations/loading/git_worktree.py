"""Git: which revision is meant, and a throw-away worktree of it that never outlives its use."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from marin_build.errors import UsageError
from marin_build.text.readable import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType


# Git sets these for hooks; they would point our git commands at another repository or index.
_OF_THE_CALLER = frozenset(
    {
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_PREFIX",
        "GIT_OBJECT_DIRECTORY",
        "GIT_COMMON_DIR",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    }
)
_PREFIX, _TREE = "marin-build-diff-", "tree"
_NOT_LINKED = frozenset({".marin-build", "__pycache__", ".git"})


def git_environment() -> dict[str, str]:
    """Return the environment without what git sets inside hooks."""
    return {key: value for key, value in os.environ.items() if key not in _OF_THE_CALLER}


def top_level(folder: str) -> str:
    """Return the top of the git checkout that a folder is in.

    Raises:
        UsageError: it is in none, or there is no git.

    """
    code, out, err = git_said(folder, "rev-parse", "--show-toplevel")
    if code != 0:
        raise UsageError(
            f"`{folder}` is not in a git checkout",
            facts=[("git", err.strip())] if err.strip() else [],
            consequence="nothing was compared",
        )
    return os.path.realpath(out.rstrip("\n"))


def commit_of(top: str, revision: str) -> str | None:
    """Return the commit that a revision names, or None."""
    code, out, _ = git_said(
        top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
    )
    return out.strip() if code == 0 else None


def merge_base(top: str, one: str, other: str) -> str:
    """Return the commit at which two revisions parted, by 12 digits.

    Raises:
        UsageError: git does not know one of them, or they have no commit in common.

    """
    for revision in (one, other):
        if commit_of(top, revision) is None:
            raise unknown_revision(top, revision, f"git knows no revision `{revision}`")
    code, out, _ = git_said(top, "merge-base", "--end-of-options", one, other)
    if code != 0:
        raise UsageError(
            f"`{one}` and `{other}` have no commit in common", consequence="nothing was compared"
        )
    return out.split()[0][:12]


def unknown_revision(top: str, revision: str, what: str) -> UsageError:
    """Return the error for a revision that git does not know."""
    _, out, _ = git_said(top, "for-each-ref", "--format=%(refname:short)")
    hint = did_you_mean(revision, [*out.split(), "HEAD"])
    facts = []
    if _answers(top, "true", "rev-parse", "--is-shallow-repository"):
        facts = [("clone", "shallow: git has only its newest commits")]
        hint = "git fetch --unshallow; in GitHub Actions, give actions/checkout `fetch-depth: 0`"
    elif not git_said(top, "rev-parse", "--verify", "--quiet", "HEAD")[1]:
        facts, hint = [("checkout", "no commit yet")], "git add -A && git commit"
    elif remote := _fetched_from(top, revision):
        hint = f"this clone has not fetched that branch: git fetch {remote}"
    return UsageError(what, facts=facts, consequence="nothing was compared", hint=hint)


def _answers(top: str, answer: str, *args: str) -> bool:
    code, out, _ = git_said(top, *args)
    return code == 0 and out.strip() == answer


def _fetched_from(top: str, revision: str) -> str | None:
    """Return what to give `git fetch` for `origin/main`; None if no remote is called so."""
    remote, slash, branch = revision.partition("/")
    if not slash or remote not in git_said(top, "remote")[1].split():
        return None
    return f"{remote} {shlex.quote(f'{branch}:refs/remotes/{revision}')}"


@contextmanager
def worktree(top: str, commit: str) -> Iterator[str]:
    """Check a commit out into a temporary folder, and remove it whatever happens.

    Files that git ignores (data, as a rule) are linked into it, so that both sides of a comparison
    read the same ones.
    """
    _remove_abandoned(top)
    with _termination_interrupts():
        folder = os.path.realpath(tempfile.mkdtemp(prefix=_PREFIX))
        path = os.path.join(folder, _TREE)
        in_use = _lock(folder)
        try:
            code, _, err = git_said(top, "worktree", "add", "--detach", "--quiet", path, commit)
            if code != 0:
                raise UsageError(
                    f"cannot check `{commit[:12]}` out",
                    facts=[("git", err.strip())],
                    consequence="nothing was compared",
                )
            _link_ignored(top, path)
            yield path
        finally:
            _remove(top, folder, path)
            if in_use is not None:
                os.close(in_use)


def _remove_abandoned(top: str) -> None:
    """Remove worktrees whose program was killed before it could: nobody else ever would."""
    _, out, _ = git_said(top, "worktree", "list", "--porcelain")
    for line in out.splitlines():
        path = line.removeprefix("worktree ")
        folder = os.path.dirname(path)
        ours = os.path.basename(path) == _TREE and os.path.basename(folder).startswith(_PREFIX)
        if path == line or not ours:
            continue
        if not os.path.isdir(folder):
            _remove(top, folder, path)
        elif (lock := _lock(folder)) is not None:
            _remove(top, folder, path)
            os.close(lock)


def _lock(folder: str) -> int | None:
    """Return a descriptor that holds a folder's lock; None if another program holds it.

    The kernel frees it when the program ends, however it ends.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def ignored_entries(top: str) -> list[str]:
    """Return the files and folders of a checkout that git ignores, and that are linked, by path."""
    ignored = ("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
    _, out, _ = git_said(top, *ignored)
    names = [entry.rstrip("/") for entry in out.split("\0")]
    return [name for name in names if name and not _NOT_LINKED.intersection(name.split("/"))]


def _link_ignored(top: str, tree: str) -> None:
    """Link files that git ignores into a worktree, unless the revision has something there.

    Untracked files that git does not ignore are no part of a revision, and are not linked.
    """
    for name in ignored_entries(top):
        there = os.path.join(tree, name)
        if os.path.lexists(there):
            continue
        with suppress(OSError):
            os.makedirs(os.path.dirname(there), exist_ok=True)
            os.symlink(os.path.join(top, name), there)


def _remove(top: str, folder: str, path: str) -> None:
    """Remove a worktree; interrupts wait until it is gone."""
    with _signals({signal.SIGINT: signal.SIG_IGN}):
        git_said(top, "worktree", "remove", "--force", "--force", path)
        shutil.rmtree(folder, ignore_errors=True)
        git_said(top, "worktree", "prune")


@contextmanager
def _termination_interrupts() -> Iterator[None]:
    """Let the signals that end a program unwind it, as ^C does, so that nothing is left over."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _signals({signal.SIGTERM: interrupt, signal.SIGHUP: interrupt}):
        yield


@contextmanager
def _signals(handlers: dict[signal.Signals, object]) -> Iterator[None]:
    """Set handlers for a block; in a thread, where none can be set, do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in handlers}
    for number, handler in handlers.items():
        signal.signal(number, handler)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def git_said(folder: str, *args: str) -> tuple[int, str, str]:
    """Run git, and return how it ended, with both outputs.

    Git gets a process group of its own, so that ^C does not reach it. We end it by SIGTERM instead,
    after which it cleans up.
    """
    command: Sequence[str] = ["git", "-C", folder, "-c", "core.hooksPath=/dev/null", *args]
    try:
        process = subprocess.Popen(
            command,
            env=git_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="surrogateescape",
            process_group=0,
        )
    except OSError as error:
        raise UsageError(
            f"cannot run git: {error.strerror}", consequence="nothing was compared"
        ) from error
    try:
        out, err = process.communicate()
    except BaseException:
        process.terminate()
        process.communicate()
        raise
    return process.returncode, out, err


def is_committed(file: str) -> bool:
    """Return whether git has a file as it is, so that it can be had again."""
    folder, name = os.path.split(os.path.abspath(file))
    tracked, _, _ = git_said(folder, "ls-files", "--error-unmatch", "--", name)
    code, out, _ = git_said(folder, "status", "--porcelain", "--", name)
    return tracked == 0 and code == 0 and not out.strip()
