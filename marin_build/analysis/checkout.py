"""A checkout of a commit: what lies in it follows from the commit, so that a load need not ask it.

Only links lead out of it: to files that git ignores, which lie in the working tree and may change.
What a load looked at through them is asked where it lies.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.analysis import questions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from marin_build.analysis.questions import Answer

_OF_THE_LINK = frozenset((questions.OWN_KIND, questions.OWN_STATUS, questions.LEADS_TO))
"""Questions about a path itself, whatever it leads to."""
_OF_PATHS = frozenset(
    (
        *_OF_THE_LINK, questions.FILE, questions.KIND, questions.STATUS, questions.NAMES,
        questions.ENTRIES,
    )
)  # fmt: skip


class Checkout:
    """The folder of a checkout.

    Args:
        folder: absolute, without links.

    """

    def __init__(self, folder: str) -> None:
        self.folder, self._start = folder, folder + os.sep

    def has(self, path: str) -> bool:
        """Return whether what lies at an absolute path follows from the commit."""
        return self.outside(path) is None

    def outside(self, path: str, *, follows: bool = True) -> str | None:
        """Return where something lies that is no part of the commit; None if it is one.

        Args:
            path: absolute.
            follows: whether it is about what a link at the path leads to, else about the link.

        """
        if path != self.folder and not path.startswith(self._start):
            return path
        if follows:
            real = os.path.realpath(path)
        else:
            folder, name = os.path.split(os.path.normpath(path))
            real = os.path.join(os.path.realpath(folder), name)
        is_inside = real == self.folder or real.startswith(self._start)
        return None if is_inside else real

    def all_outside(self, paths: Iterable[str]) -> Iterator[str]:
        """Yield where each of some paths lies that is no part of the commit."""
        for path in paths:
            if (real := self.outside(path)) is not None:
                yield real

    def folders_outside(self, names: Mapping[str, set[str]]) -> dict[str, set[str]]:
        """Return names in folders, by where the folders lie, without those of the commit."""
        found: dict[str, set[str]] = {}
        for folder, each in names.items():
            if (real := self.outside(folder)) is not None:
                found.setdefault(real, set()).update(each)
        return found

    def answers_outside(self, kind: str, asked: dict[str, Answer]) -> dict[str, Answer]:
        """Return the answers about what is no part of the commit, by where that lies.

        Args:
            kind: of the question.
            asked: subject -> answer.

        """
        if kind == questions.ACCESS:
            pairs = [(subject.partition(" "), answer) for subject, answer in asked.items()]
            moved = [(mode, self.outside(path), answer) for (mode, _, path), answer in pairs]
            return {f"{mode} {path}": answer for mode, path, answer in moved if path is not None}
        if kind not in _OF_PATHS:
            return asked
        follows = kind not in _OF_THE_LINK
        found = [(self.outside(path, follows=follows), it) for path, it in asked.items()]
        return {path: answer for path, answer in found if path is not None}
