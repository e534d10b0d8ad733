"""How the building of a target ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marin_build.protocol.lease import Lease
    from marin_build.retries import Cause


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Built and committed by this run."""

    attempt: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Reused:
    """Somebody had built it; `published` if this run finished the publishing of a seal."""

    published: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed.

    `attempt` is 0 if none was opened; `cause`: see retries.py; `peak_memory` in bytes, if known.
    """

    attempt: int
    exit_code: int
    message: str
    log: str = ""
    seconds: float = 0.0
    hint: str = ""
    cause: Cause = "app"
    peak_memory: int | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody else builds it."""

    lease: Lease
    version: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """A lost lease or a changed step forbids going on with this target."""

    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Cut short by the person or the machine; the next run builds it."""

    attempt: int = 0


Outcome = Succeeded | Reused | Failed | Held | Stopped | Interrupted
