"""What a body used: CPU time and memory, as the kernel counts them."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


OWN = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
"""This process, and the children it waited for."""
THREAD = (getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF),)
"""This thread; what programs it starts use is not counted."""


class Used(NamedTuple):
    """CPU time in seconds; bytes of the largest process, None if that was not measured."""

    cpu_seconds: float
    peak_memory: int | None


@dataclass(frozen=True, slots=True)
class Meter:
    """The use up to the moment when a body begins.

    Args:
        whose: OWN or THREAD.
        cpu_seconds, peak_memory: until then.

    """

    whose: Sequence[int]
    cpu_seconds: float
    peak_memory: int

    @classmethod
    def begin(cls, whose: Sequence[int], *, is_fresh: bool = False) -> Meter:
        """Begin to measure; a fresh process has no other bodies behind it."""
        cpu_seconds, peak = _used(whose)
        return cls(whose, cpu_seconds, 0 if is_fresh else peak)

    def read(self) -> Used:
        """Return what was used since.

        The kernel knows the most memory of a process only since it began: where earlier bodies in
        it used more, nothing is known of this one. All threads of a process share its memory.
        """
        cpu_seconds, peak = _used(self.whose)
        is_known = peak > self.peak_memory
        return Used(round(cpu_seconds - self.cpu_seconds, 6), peak * 1024 if is_known else None)


def _used(whose: Sequence[int]) -> tuple[float, int]:
    """Return the seconds of CPU time, and the KiB of the largest process."""
    cpu_seconds, peak = 0.0, 0
    for each in whose:
        used = resource.getrusage(each)
        cpu_seconds += used.ru_utime + used.ru_stime
        peak = max(peak, used.ru_maxrss)
    return cpu_seconds, peak
