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
        used = [resource.getrusage(each) for each in whose]
        peak = 0 if is_fresh else max(each.ru_maxrss for each in used)
        return cls(whose, sum(each.ru_utime + each.ru_stime for each in used), peak)

    def read(self) -> Used:
        """Return what was used since.

        The kernel knows the most memory of a process only since it began: where earlier bodies in
        it used more, nothing is known of this one. All threads of a process share its memory.
        """
        used = [resource.getrusage(each) for each in self.whose]
        peak = max(each.ru_maxrss for each in used)
        cpu = sum(each.ru_utime + each.ru_stime for each in used) - self.cpu_seconds
        is_known = peak > self.peak_memory
        return Used(round(cpu, 6), peak * 1024 if is_known else None)
