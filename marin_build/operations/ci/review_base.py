"""The commit that a change is reviewed against, also in a clone that has not all commits."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from marin_build.errors import UsageError
from marin_build.operations.loading.git_worktree import commit_of, git_said, merge_base

_HEAD = "HEAD"


@dataclass(frozen=True, slots=True)
class ReviewBase:
    """A commit.

    Args:
        commit: its first digits.
        notes: what was fetched to find it, in words.

    """

    commit: str
    notes: tuple[str, ...] = ()


def review_base(top: str, revision: str, *, fetches: bool = True) -> ReviewBase:
    """Return the newest commit that a revision and the checked-out commit both come from.

    Args:
        top: the top of the checkout.
        revision: a revision, as `origin/main`; or `A...B`, where B is checked out.
        fetches: whether a clone that lacks the commits may fetch them from its remote.

    Raises:
        UsageError: there is no such revision or no common commit, or it cannot be fetched.

    """
    base, dots, head = revision.partition("...")
    head = head or _HEAD
    if dots and commit_of(top, head) not in (None, commit_of(top, _HEAD)):
        raise UsageError(
            f"`{head}` is not checked out here",
            facts=[("checked out", (commit_of(top, _HEAD) or "nothing")[:12])],
            consequence="nothing was compared",
            hint=f"git switch --detach {shlex.quote(head)}",
        )
    try:
        return ReviewBase(merge_base(top, base, _HEAD))
    except UsageError:
        if not fetches:
            raise
    notes = _fetch(top, base)
    return ReviewBase(merge_base(top, base, _HEAD), tuple(notes))


def _fetch(top: str, revision: str) -> list[str]:
    """Fetch what may be missing; return what was done. What fails shows when the commit lacks."""
    code, out, _ = git_said(top, "remote")
    remotes = out.split()
    if code != 0 or not remotes:
        return []
    remote, slash, branch = revision.partition("/")
    if not slash or remote not in remotes:
        remote, branch = remotes[0], revision
    is_shallow = git_said(top, "rev-parse", "--is-shallow-repository")[1].strip() == "true"
    depth = ["--unshallow"] if is_shallow else []
    notes = []
    whole = ["fetch", "--quiet", "--no-tags", *depth, remote]
    wanted = [] if _is_digits(branch) else [f"+refs/heads/{branch}:refs/remotes/{remote}/{branch}"]
    for words in ([*whole, *wanted], whole, ["fetch", "--quiet", "--no-tags", remote, branch]):
        code, _, _ = git_said(top, *words)
        if code == 0:
            notes.append(f"fetched what this clone lacked: git {shlex.join(words)}")
            break
    return notes


def _is_digits(text: str) -> bool:
    return bool(text) and set(text) <= set("0123456789abcdef")
