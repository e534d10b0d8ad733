"""What the stand-ins for GitHub and GitLab share: a bare repository, and checkouts for jobs."""

from __future__ import annotations

import itertools
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True)
class Job:
    """How a job ended.

    Args:
        result: `success`, `failure` or `skipped`.
        log: what its steps printed.
        summary: its step summary; only GitHub has one.
        skipped: names of steps whose condition did not hold.
        workspace: its checkout.
        caches: folders that are kept for the next job if this one ends well.

    """

    result: str
    log: str = ""
    summary: str = ""
    skipped: list[str] = field(default_factory=list)
    workspace: Path = Path()
    caches: list[Path] = field(default_factory=list)


class GitHost:
    """A bare repository with the branch `main`.

    Args:
        folder: for all that it keeps.
        environ: the variables of a runner: `PATH` and `HOME`.

    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder, self.environ = folder, dict(environ)
        self.bare = folder / "lm.git"
        self._checkouts = itertools.count(1)
        (folder / "runners").mkdir(parents=True)
        self.git(folder, "init", "-q", "--bare", "-b", "main", str(self.bare))

    def close(self) -> None:
        """End what it has started."""

    def git(self, folder: Path, *words: str) -> str:
        """Run git, and return what it prints."""
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        done = subprocess.run(
            ["git", *who, *words],
            cwd=folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def newest(self, branch: str = "main") -> str:
        """Return the newest commit of a branch."""
        return self.git(self.bare, "rev-parse", f"refs/heads/{branch}")

    def clone(self, commit: str) -> Path:
        """Return a new checkout of a commit, or of a branch."""
        clone = self.folder / "runners" / f"{next(self._checkouts)}" / "lm"
        clone.parent.mkdir()
        self.git(self.folder, "clone", "-q", str(self.bare), str(clone))
        self.git(clone, "checkout", "-q", commit)
        return clone

    def merge_branch(self, branch: str, *, method: str = "merge") -> str:
        """Merge a branch into `main`, and return the newest commit.

        Args:
            branch: what is merged.
            method: `merge` makes a merge commit, `squash` one commit of all, `fast-forward` none.

        """
        clone = self.clone("main")
        if method == "squash":
            self.git(clone, "merge", "-q", "--squash", f"origin/{branch}")
            self.git(clone, "commit", "-q", "-m", "squashed")
        elif method == "fast-forward":
            self.git(clone, "merge", "-q", "--ff-only", f"origin/{branch}")
        else:
            self.git(clone, "merge", "-q", "--no-ff", "-m", "merge", f"origin/{branch}")
        self.git(clone, "push", "-q", "origin", "HEAD:main")
        return self.newest()
