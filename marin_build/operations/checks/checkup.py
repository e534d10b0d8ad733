"""The result of a check of `doctor`: what was found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from marin_build.errors import MarinBuildError

State = Literal["ok", "note", "warn", "fail"]
_FROM_GOOD_TO_BAD: tuple[State, ...] = ("ok", "note", "warn", "fail")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found.

    Args:
        what: in words.
        remedy: what to do about it; None if it is well.
        is_broken: whether nothing can be built because of it.
        is_note: whether it is not well, and no setting says that it is needed.

    """

    what: str
    remedy: str | None = None
    is_broken: bool = False
    is_note: bool = False

    @property
    def state(self) -> State:
        """How bad it is."""
        if self.is_broken:
            return "fail"
        if self.is_note:
            return "note"
        return "warn" if self.remedy is not None else "ok"


@dataclass(frozen=True, slots=True)
class Checkup:
    """The result of one check.

    Args:
        subject: what was checked: `engine local`.
        source: the folder of the configuration, the prefix, or the package of the engine.
        findings: what was found.
        problem: why it does not work at all; None if it does.

    """

    subject: str
    source: str
    findings: tuple[Finding, ...] = ()
    problem: MarinBuildError | None = None

    @property
    def state(self) -> State:
        """How bad it is: as bad as the worst that was found."""
        if self.problem is not None:
            return "fail"
        states = (finding.state for finding in self.findings)
        return max(states, key=_FROM_GOOD_TO_BAD.index, default="ok")
