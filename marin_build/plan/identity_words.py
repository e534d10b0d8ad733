"""Words that name one identity of a step's name, whatever a pipeline declares now. Pure.

report_da69ccbb     the identity with that hash: a target's id
report-1a2b3c       the same of a step that Marin's executor names
report@2026.03      the version, likewise an id
report@latest       the identity that was built last
report@r-1a2b3c4d   the identity that a run built; the first digits of the run are enough
"""

from __future__ import annotations

import re

from marin_build.identity.payload import HASHED_NAME
from marin_build.pipeline.names import name_problem, version_problem
from marin_build.quick_dataclass import dataclass

LATEST = "latest"
_RUN = re.compile(r"[a-z]-[0-9a-f]{1,8}")


@dataclass(frozen=True, slots=True)
class IdentityWord:
    """A word that names one identity.

    Args:
        name: the step's name.
        which: the version, `latest` or the beginning of a run's id; None for a hash.

    """

    name: str
    which: str | None

    @property
    def is_latest(self) -> bool:
        """Whether it may stand for the newest build of its name."""
        return self.which == LATEST

    @property
    def is_run(self) -> bool:
        """Whether it may stand for what a run built."""
        return self.which is not None and _RUN.fullmatch(self.which) is not None


def identity_word(word: str) -> IdentityWord | None:
    """Return what a word names; None if it names no identity of its own."""
    name, at, which = word.partition("@")
    if at:
        is_legal = name_problem(name) is None and version_problem(which) is None
        return IdentityWord(name, which) if is_legal else None
    hashed = HASHED_NAME.fullmatch(word)
    if hashed is None or name_problem(hashed["name"]) is not None:
        return None
    return IdentityWord(hashed["name"], None)
