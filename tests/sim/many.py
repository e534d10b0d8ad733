"""Many schedules, in several processes, and what to print of the ones that fail."""

from __future__ import annotations

import enum
import gc
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

from tests.sim.local_scenarios import LocalSchedule
from tests.sim.scenarios import Schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHUNK = 500
_SHOWN = 20


class Kind(enum.Enum):
    """What a store's versions are, and what people do."""

    UNIQUE = "unique"
    """Another version after every write: local disk, GCS, Azure. Some force rebuilds."""
    DIGESTS = "digests"
    """Equal bytes have equal versions: S3. Nobody forces a rebuild."""
    GANG = "gang"
    """As unique, and every body is a gang: a leader and one or two ranks elsewhere."""
    LOCAL = "local"
    """A disk of one machine: kernel locks are the leases. See `local_scenarios`."""
    FORCED_DIGESTS = "forced-digests"
    """As on S3, and some force rebuilds: not safe, see `test_simulation`."""


SAFE = (Kind.UNIQUE, Kind.DIGESTS, Kind.UNIQUE, Kind.GANG)
"""Those of a bucket. What a seed of them means depends on their number."""
ALL_SAFE = (*SAFE, Kind.LOCAL)


def schedule_of(seed: int, kind: Kind, *, trace: bool = False) -> Schedule | LocalSchedule:
    """Return the schedule of a seed."""
    if kind is Kind.LOCAL:
        return LocalSchedule(seed, trace=trace)
    return Schedule(
        seed,
        digests=kind in (Kind.DIGESTS, Kind.FORCED_DIGESTS),
        forcing=kind is not Kind.DIGESTS,
        gangs=kind is Kind.GANG,
        trace=trace,
    )


def run_one(seed: int, kind: Kind, *, trace: bool = False) -> str | None:
    """Run a schedule; return a description of its failure, with its trace, or None."""
    try:
        schedule_of(seed, kind).run()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a failure
        first = f"{type(error).__name__}: {error}"
    else:
        return None
    if not trace:
        return f"seed {seed} kind {kind.value}: {first}"
    again = schedule_of(seed, kind, trace=True)
    try:
        again.run()
    except Exception as error:  # noqa: BLE001 - the same again
        if f"{type(error).__name__}: {error}" != first:
            first += f"\n  and not the same the second time: {error}"
    lines = "\n".join(again.lines)
    return (
        f"seed {seed} kind {kind.value}: {first}\n{lines}\n"
        f"again: make sim SEED={seed} KIND={kind.value}"
    )


def run_chunk(first: int, count: int, kinds: Sequence[Kind]) -> list[str]:
    """Run the schedules of consecutive seeds; return the failures, the first one with its trace."""
    failures: list[str] = []
    gc.disable()  # nothing but cycles of dead schedules: collected now and then
    try:
        for seed in range(first, first + count):
            failure = run_one(seed, kinds[seed % len(kinds)])
            if failure is not None:
                failures.append(failure)
            if seed % 200 == 0:
                gc.collect()
    finally:
        gc.enable()
    return failures


def run_range(first: int, count: int, kinds: Sequence[Kind], jobs: int) -> list[str]:
    """Run the schedules of many seeds in several processes."""
    starts = range(first, first + count, _CHUNK)
    sizes = [min(_CHUNK, first + count - start) for start in starts]
    with ProcessPoolExecutor(jobs) as pool:
        found = pool.map(run_chunk, starts, sizes, [kinds] * len(sizes))
        return [failure for failures in found for failure in failures]
