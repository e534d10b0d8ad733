"""The reading of how targets stand: one batch of statuses, then what is not built more closely."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.cli.planning import doubt_of
from marin_build.observe import observe
from marin_build.run_step.orphans import still_written
from marin_build.run_step.session import log_path
from marin_build.standing import Standing, standing_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marin_build.cli.loading import Loaded
    from marin_build.protocol.lease import Lease
    from marin_build.snapshot import Snapshot


def read_all(loaded: Loaded, indices: Iterable[int], *, records: bool = False) -> Snapshot:
    """Read these targets, and no others, whatever they stand above or below of.

    Args:
        loaded: the pipeline and its store.
        indices: which targets.
        records: read the records of built ones, too.

    Raises:
        StoreError: the store cannot be read.

    """
    wanted = list(indices)
    return observe(
        loaded.store,
        loaded.targets,
        wanted,
        frozenset(wanted),  # so that the record of another target is told, not refused
        loaded.host,
        records=records,
        is_doubtful=doubt_of(loaded),
        below=False,
    )


def read_standings(loaded: Loaded, indices: Iterable[int]) -> dict[int, Standing]:
    """Return how targets stand, by index, in the order of the pipeline."""
    snapshot = read_all(loaded, indices)

    def standing(index: int) -> Standing:
        target = loaded.targets.all[index]

        def is_still_written(lease: Lease) -> bool:
            return still_written(log_path(target.output_path, target.id, lease))

        return standing_of(snapshot.of(index), is_still_written=is_still_written)

    return {index: standing(index) for index in snapshot.seen}
