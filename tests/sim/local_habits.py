"""How a run on one machine behaves."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Way(enum.Enum):
    """How a run takes targets."""

    KERNEL = "kernel"
    DOCUMENTS = "documents"
    """This version, told to use documents: it takes the kernel lock all the same."""
    STRANGER = "stranger"
    """This version, on another machine that has the disk mounted: it sees no kernel locks."""
    OLDER = "older"
    """An older version on this machine: it knows neither kernel locks nor the mark."""


@dataclass(frozen=True, slots=True)
class LocalHabits:
    """How one run behaves."""

    way: Way
    slots: int = 1
    forces: frozenset[str] = frozenset()
    retries: int = 1
    tick: float = 0.0
    """Seconds by which its announcer is late at most."""
