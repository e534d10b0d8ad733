"""What one load has looked at so far, and whether it did what cannot be known again."""

from __future__ import annotations

import os
from _thread import get_ident
from dataclasses import field
from typing import TYPE_CHECKING

from marin_build.analysis import questions
from marin_build.analysis.callers import author_frame, nearest_owner
from marin_build.quick_dataclass import dataclass
from marin_build.workspace.file_stamps import stamp_now
from marin_build.workspace.workspace import relative_to

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType, FrameType

    from marin_build.analysis.checkout import Checkout
    from marin_build.analysis.questions import Answer
    from marin_build.workspace.file_stamps import FileStamp

_getcwd, _fspath = os.getcwd, os.fspath
_TIMES = (questions.STATUS, questions.OWN_STATUS)
_READS_LINES = f"{os.sep}linecache.py"


@dataclass(slots=True, eq=False)
class Watch:
    """What a load has looked at so far.

    Args:
        project: the absolute folder that places are shown from.
        began: when the load began, in ns since the epoch.
        files: paths that were opened for reading -> their stamps then.
        imported: paths that the import system opened: of modules, or of compiled ones.
        distributions: folders in which distributions were looked for.
        folders: paths of listed folders -> whether with the kinds of what lies in them.
        answers: kind of question -> subject -> the answer that the load got.
        called: functions of `os` that it called; see questions.FUNCTIONS.
        folder: the current folder when it began.
        searches: what imports looked for, and the folders they looked in.
        variables: the value of each environment variable that was read, as it was first.
        written: environment variables that the load has set itself.
        reads_all_variables: whether it asked which variables there are.
        codes: the author's code that was run, as it was compiled.
        refused: what makes the load one that is not kept: what it did, and where.
        checkout: of the commit that is loaded; None: the files are as they are.

    """

    project: str
    began: int
    thread: int = field(default_factory=get_ident)
    files: dict[str, FileStamp | None] = field(default_factory=dict)
    imported: list[str] = field(default_factory=list)
    folders: dict[str, bool] = field(default_factory=dict)
    answers: dict[str, dict[str, Answer]] = field(default_factory=dict)
    called: set[str] = field(default_factory=set)
    folder: str = field(default_factory=_getcwd)
    distributions: set[str] = field(default_factory=set)
    searches: list[tuple[str, Iterable[object]]] = field(default_factory=list)
    variables: dict[str, str | None] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    reads_all_variables: bool = False
    codes: list[CodeType] = field(default_factory=list)
    refused: tuple[str, str] | None = None
    checkout: Checkout | None = None
    is_busy: bool = False
    """Whether it looks at something itself now."""

    def refuse(self, reason: str, frame: FrameType | None, file: str = "") -> None:
        """Note why the load is not kept; the first reason stays.

        Args:
            reason: what it did, to stand after its subject.
            frame: what did it, or was called by what did.
            file: what it is about, where no code of the author did it.

        """
        if self.refused is None:
            self.refused = reason, self.place(frame, file)

    def place(self, frame: FrameType | None, file: str = "") -> str:
        """Return the author's line nearest to a frame; without one, a file."""
        author = author_frame(frame)
        if author is not None:
            file = relative_to(author.f_code.co_filename, self.project)
            return f"{file}:{author.f_lineno}"
        return relative_to(file, self.project) if file else self.project

    def opens(self, path: str) -> None:
        """Note that a file is read now."""
        if self.checkout is not None and path == os.path.join(self.checkout.folder, ".git"):
            self.refuse("reads where git keeps the checkout", None, path)
        if path not in self.files:
            self.files[path] = stamp_now(path)

    def answer(self, kind: str, subject: str, answer: Answer, frame: FrameType | None) -> None:
        """Note what the load was told."""
        if kind in _TIMES and self.checkout is not None and self.checkout.has(subject):
            if not _compares_times(frame):
                self.refuse("asks when a file of the revision was written", frame)
            return
        known = self.answers.setdefault(kind, {})
        if known.setdefault(subject, answer) != answer:
            self.refuse(f"looks at `{subject}`, which changed meanwhile", frame)

    def path(self, path: object) -> str:
        """Return the absolute path of what a function was called with.

        A relative one depends on the current folder, which becomes a question, too.

        Raises:
            TypeError: it is no path.

        """
        found = os.fsdecode(_fspath(path))  # type: ignore[call-overload]
        if found.startswith("/"):
            return found
        folder = _getcwd()
        self.called.add("getcwd")
        return os.path.join(folder, found)


def _compares_times(frame: FrameType | None) -> bool:
    """Return whether a caller asks for times only to know whether it has read the file before."""
    is_python = frame is not None and frame.f_code.co_filename.endswith(_READS_LINES)
    return is_python or nearest_owner(frame) == "ours"
