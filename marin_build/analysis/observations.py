"""The value "what loading a pipeline looked at", and what of it is different now.

It is kept in a file that another program may have written, so its reader only ever refuses. What it
may contain of variables and parameters are digests under a key of its own: a user who can read the
file cannot read them, but can try values. So the file is for its owner alone.
"""

from __future__ import annotations

import os
from dataclasses import field
from typing import TYPE_CHECKING, Any

from marin_build.analysis import questions
from marin_build.analysis.changed_words import change_of_surroundings, changed_answer
from marin_build.analysis.questions import GIVEN, SURROUNDINGS, Answer
from marin_build.analysis.searched_folders import InstalledFiles, SearchedFolder
from marin_build.quick_dataclass import dataclass
from marin_build.text.readable import printable
from marin_build.untrusted_json import array, path, table, text, whole, whole_or_none
from marin_build.workspace.workspace import relative_to

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEY_BYTES = 32
_KINDS = frozenset({*questions.ASKED, SURROUNDINGS, GIVEN})
_FREE_TEXT = frozenset({questions.VARIABLE, questions.VARIABLES, SURROUNDINGS, GIVEN})
"""Kinds of questions whose subject is no path."""


WRITTEN_BEFORE = "was written just before it was read"
WRITTEN_MEANWHILE = "was written while the pipeline was loaded"
CHANGED_BEFORE = "was changed just before it was listed"
_PASSING = frozenset((WRITTEN_BEFORE, WRITTEN_MEANWHILE, CHANGED_BEFORE))
"""Reasons that another load of the same code will not have."""


@dataclass(frozen=True, slots=True)
class NotKept:
    """Why it cannot be known whether a load would give the same again.

    Args:
        reason: what it did, to stand after its subject: `starts a process (git)`.
        where: the author's line that did it, `pipeline.py:12`, else the file it is about.

    """

    reason: str
    where: str

    @property
    def words(self) -> str:
        """It in one sentence, after the name of the pipeline."""
        return f"{self.where} {self.reason}"

    @property
    def passes(self) -> bool:
        """Whether the same code may be kept the next time."""
        return self.reason in _PASSING


@dataclass(frozen=True, slots=True)
class Observations:
    """What loading a pipeline looked at.

    Two loads have the same observations if they asked the same and got the same answers. The files
    of installed packages and the folders searched for them are no part of that: how many of them a
    load imports depends on what its program had imported before.

    Args:
        project: the absolute folder that places are shown from.
        salt: the key of the digests.
        answers: kind of question (questions.py) -> subject -> answer.
        libraries: folder -> the files of installed packages that were read in it.
        searched: the folders in which modules were looked for.

    """

    project: str
    salt: bytes
    answers: Mapping[str, Mapping[str, Answer]]
    libraries: Mapping[str, InstalledFiles] = field(compare=False)
    searched: Mapping[str, SearchedFolder] = field(compare=False)

    def first_change(self, given: Mapping[str, str]) -> str | None:
        """Return in words what is different now; None while a load would look at the same.

        Args:
            given: what a load would be given now, as for `observed_load`.

        """
        return (
            change_of_surroundings(self.answers.get(SURROUNDINGS, {}), questions.surroundings())
            or self._changed_gift(given)
            or self._changed_answer()
            or self._changed_library()
            or self._changed_folder()
        )

    def joined(self, other: Observations) -> Observations | None:
        """Return what either of two loads of a pipeline looked at; None if they saw something else.

        What a library looks at when it is imported, only a load sees that imports it first: another
        command may have imported it before. So the questions of two loads may differ, and those of
        both count from then on. The answers to the same questions, and the files of the author that
        were read, must be the same.

        Args:
            other: what the later load looked at.

        """
        if self.salt != other.salt or self._own() != other._own():
            return None
        answers: dict[str, dict[str, Answer]] = {}
        for kind in self.answers.keys() | other.answers.keys():
            one, two = self.answers.get(kind, {}), other.answers.get(kind, {})
            if any(two.get(subject, answer) != answer for subject, answer in one.items()):
                return None
            answers[kind] = {**one, **two}
        libraries, searched = {**self.libraries, **other.libraries}, dict(self.searched)
        for folder in self.libraries.keys() & other.libraries.keys():
            both = self.libraries[folder].joined(other.libraries[folder], folder)
            if both is None:
                return None
            libraries[folder] = both
        for folder, each in other.searched.items():
            found = searched[folder].joined(each) if folder in searched else each
            if found is None:
                return None
            searched[folder] = found
        return Observations(other.project, other.salt, answers, libraries, searched)

    def _own(self) -> tuple[object, ...]:
        """Return what must be the same in two loads of one pipeline."""
        start = self.project + os.sep
        files = {file for file in self.answers.get(questions.FILE, {}) if file.startswith(start)}
        return files, self.answers.get(GIVEN), self.answers.get(SURROUNDINGS)

    def json_values(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "project": self.project,
            "salt": self.salt.hex(),
            "answers": self.answers,
            "libraries": {
                folder: [each.stamps, *each.names] for folder, each in self.libraries.items()
            },
            "searched": {
                folder: [each.names, each.found, each.stamp]
                for folder, each in self.searched.items()
            },
        }

    @classmethod
    def of_json(cls, values: object) -> Observations:
        """Return what `json_values` returned.

        Raises:
            ValueError: it is anything else.

        """
        found = table(values)
        salt = bytes.fromhex(text(found.get("salt")))
        answers = {
            kind: {_subject(kind, key): _answer(answer) for key, answer in table(asked).items()}
            for kind, asked in table(found.get("answers")).items()
        }
        if len(salt) != _KEY_BYTES or not answers.keys() <= _KINDS:
            raise ValueError("these are no observations")
        called = answers.get(questions.CALLED, {})
        if not called.keys() <= questions.FUNCTIONS.keys():
            raise ValueError("a function that is not known")
        libraries = {
            path(folder): _installed(each) for folder, each in table(found.get("libraries")).items()
        }
        searched = {
            path(folder): _searched(each) for folder, each in table(found.get("searched")).items()
        }
        return cls(path(found.get("project")), salt, answers, libraries, searched)

    def _changed_gift(self, given: Mapping[str, str]) -> str | None:
        known = self.answers.get(GIVEN, {})
        if known.keys() != given.keys():
            return f"{min(known.keys() ^ given.keys())} is given in one of the two loads only"
        for name, value in given.items():
            if questions.digest(self.salt, name, value) != known[name]:
                return f"{name} changed"
        return None

    def _changed_answer(self) -> str | None:
        for kind, asked in self.answers.items():
            if kind in (SURROUNDINGS, GIVEN):
                continue
            for subject, before in asked.items():
                now = questions.answer_now(kind, subject, self.salt)
                if now != before:
                    return changed_answer(kind, self._shown(kind, subject), before, now)
        return None

    def _changed_library(self) -> str | None:
        for folder, each in self.libraries.items():
            if not each.are_unchanged(folder):
                return f"installed files in `{printable(folder)}` changed"
        return None

    def _changed_folder(self) -> str | None:
        for folder, each in self.searched.items():
            if (entry := each.first_change(folder)) is not None:
                place = printable(relative_to(os.path.join(folder, entry), self.project))
                if not entry:
                    return f"what lies in `{place}`, where imports look, changed"
                return f"`{place}`, which an import may find, came or is gone"
        return None

    def _shown(self, kind: str, subject: str) -> str:
        if kind in _FREE_TEXT:
            return printable(subject)
        return printable(relative_to(os.path.normpath(subject), self.project))


def _subject(kind: str, value: object) -> str:
    return text(value) if kind in _FREE_TEXT else path(value)


def _answer(value: object) -> Answer:
    if value is None or isinstance(value, str):
        return value
    return tuple(part if isinstance(part, str) else whole(part) for part in array(value))


def _installed(value: object) -> InstalledFiles:
    stamps, *names = array(value)
    number = whole_or_none(stamps)
    if number is None:
        raise ValueError("these are no stamps")
    return InstalledFiles(tuple(map(path, names)), number)


def _searched(value: object) -> SearchedFolder:
    names, found, stamp = array(value)
    times = None
    if stamp is not None:
        written, changed, number = map(whole, array(stamp))
        times = written, changed, number
    return SearchedFolder(tuple(map(path, array(names))), tuple(map(path, array(found))), times)
