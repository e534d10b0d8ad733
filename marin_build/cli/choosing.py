"""Selectors of a command line -> targets, with what only a store or a git revision knows."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from marin_build.selection import select

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from marin_build.cli.loading import Loaded
    from marin_build.protocol.status import Status


def choose(loaded: Loaded, selectors: Sequence[str]) -> tuple[int, ...]:
    """Return the targets that selectors select; the requested ones without selectors."""

    @cache
    def statuses() -> list[Status | None]:
        return _read_statuses(loaded)

    def changed_since(revision: str) -> AbstractSet[int]:
        from marin_build.cli.revisions import changed_targets

        return changed_targets(loaded, revision)

    return select(
        loaded.targets,
        selectors,
        status_of=lambda index: statuses()[index],
        changed_since=changed_since,
    )


def _read_statuses(loaded: Loaded) -> list[Status | None]:
    """Read the statuses of all targets in one batch; what is not readable is none."""
    from marin_build.protocol.layout import STATUS
    from marin_build.protocol.status import readable_status

    paths = [f"{target.output_path}/{STATUS}" for target in loaded.targets.all]
    return [
        readable_status(blob.data if blob is not None else None, path)
        for blob, path in zip(loaded.store.get_many(paths), paths, strict=True)
    ]
