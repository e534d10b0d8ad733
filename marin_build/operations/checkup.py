"""The result of a check of `doctor`: what was found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from marin_build.errors import MarinBuildError

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found.

    Args:
        what: in words.
        remedy: what to do about it; None if it is well.
        is_broken: whether nothing can be built because of it.

    """

    what: str
    remedy: str | None = None
    is_broken: bool = False

    @property
    def state(self) -> State:
        """How bad it is."""
        return "fail" if self.is_broken else "warn" if self.remedy is not None else "ok"


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
        states = {finding.state for finding in self.findings}
        if self.problem is not None or "fail" in states:
            return "fail"
        return "warn" if "warn" in states else "ok"
