"""Sentences on what is different from what a load looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.analysis import questions
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.analysis.questions import Answer

_PLAIN = ("Python", "marin-build")


def change_of_surroundings(before: Mapping[str, Answer], now: Mapping[str, str]) -> str | None:
    """Return what is different of this Python, or None."""
    for name in sorted(before.keys() | now.keys()):
        was, is_now = before.get(name), now.get(name)
        if was == is_now:
            continue
        if name in _PLAIN and isinstance(was, str) and is_now is not None:
            old, new = was.split(" ")[0], is_now.split(" ")[0]
            if old != new:
                return f"{name} {printable(old)} -> {printable(new)}"
        return f"{printable(name)} changed"
    return None


def changed_answer(kind: str, subject: str, before: Answer, now: Answer) -> str:
    """Return what is different in the answer to a question.

    Args:
        kind: see questions.py.
        subject: what was asked about, as people may read it.
        before, now: the two answers, which differ.

    """
    match kind:
        case questions.NAMES | questions.ENTRIES:
            return _changed_names(subject, before, now)
        case questions.DISTRIBUTIONS:
            return _changed_distributions(subject, before, now)
        case questions.VARIABLE:
            words = _came_or_went(before, now, "is not set any more", "is set now", "changed")
            return f"variable {subject} {words}"
        case questions.VARIABLES:
            return "there are other environment variables, and the load asks for all names"
        case questions.CALLED:
            return f"`os.{subject}()` tells something else"
        case questions.ACCESS:
            return f"the rights on `{subject.partition(' ')[2]}` changed"
        case questions.FILE:
            words = _came_or_went(before, now, "is gone", "came", "was edited")
            return f"`{subject}` {words}"
        case _:
            words = _came_or_went(before, now, "is gone", "came", "changed")
            return f"`{subject}` {words}"


def _came_or_went(before: Answer, now: Answer, went: str, came: str, changed: str) -> str:
    if questions.is_missing(now) and not questions.is_missing(before):
        return went
    return came if questions.is_missing(before) and not questions.is_missing(now) else changed


def _changed_names(folder: str, before: Answer, now: Answer) -> str:
    if questions.is_missing(now) or questions.is_missing(before):
        return f"`{folder}` {_came_or_went(before, now, 'is gone', 'came', 'changed')}"
    assert isinstance(now, tuple)
    assert isinstance(before, tuple)
    if set(now) == set(before):
        return f"the folder `{folder}` is listed in another order"
    name = str(min(set(before) ^ set(now), key=str))
    name_alone = name.partition("/")[0]
    entry = printable(name_alone if folder == "." else f"{folder}/{name_alone}")
    if name in before:
        return f"`{entry}` is gone from the listed folder `{folder}`"
    return f"`{entry}` came to the listed folder `{folder}`"


def _changed_distributions(folder: str, before: Answer, now: Answer) -> str:
    old, new = _versions(before), _versions(now)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        if name not in new:
            return f"{name} {old[name]} is not installed any more"
        if name not in old:
            return f"{name} {new[name]} was installed"
        return f"{name} {old[name]} -> {new[name]}"
    return f"what is installed in `{folder}` changed"


def _versions(names: Answer) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names if isinstance(names, tuple) else ():
        stem = str(name).rpartition(".")[0]
        distribution, _, version = stem.partition("-")
        found[printable(distribution)] = printable(version)
    return found
