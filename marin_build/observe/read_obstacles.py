"""What lies at the output paths of targets to be built, and must not be built over unasked.

Only these targets are looked at: a plan with nothing to do looks at none. On a disk that is a look
at each output. In a bucket the folders of all builds of a name are listed once, which is the
listing that also finds earlier builds; an output is listed only if it is among them.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.observe.read_history import list_builds
from marin_build.protocol.foreign_data import ForeignData, find_data
from marin_build.store.folder_place import in_the_way
from marin_build.store.local_listing import Listings
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marin_build.pipeline.targets import Target, Targets
    from marin_build.plan.snapshot import Observed
    from marin_build.protocol.foreign_data import OwnData
    from marin_build.store.base import Store


_LISTINGS_AT_ONCE = 32


def read_obstacles(
    store: Store,
    targets: Targets,
    indices: Iterable[int],
    seen: dict[int, Observed],
    overwrite: Mapping[int, str | None],
    listed: dict[str, list[str]],
) -> None:
    """Look at outputs before they are built; what is in the way joins what was seen.

    Args:
        store: where the outputs live.
        targets: the pipeline's targets.
        indices: which of them.
        seen: what was seen of them.
        overwrite: targets whose foreign data may be deleted -> the listing that a person agreed
            to; None: whatever it is now.
        listed: the folders of builds of each name that were listed, by how their paths begin; what
            is listed now joins them.

    Raises:
        StoreError: an output cannot be listed.

    """
    remote, local = list[int](), list[int]()
    indices = list(indices)
    listings = Listings(len(indices))
    for index in indices:
        target = targets.all[index]
        if target.step.fn is None:
            continue  # nothing builds it
        path = target.output_path
        if is_url(path):
            remote += [index] if _may_be_cleared(target, seen[index]) else []
        elif not (listings.may_be(path) and os.path.lexists(path)):
            continue  # as at a first plan, of ten thousand steps
        elif (found := in_the_way(path)) is not None:
            seen[index] = replace(seen[index], in_the_way=found)
        elif _may_be_cleared(target, seen[index]):
            local.append(index)

    def look(index: int) -> ForeignData | OwnData | None:
        adopting = _is_adopting(seen[index])
        return find_data(store, targets.all[index].output_path, adopting=adopting)

    found_data = {i: look(i) for i in local}
    if remote:
        list_builds(store, targets, remote, listed)
        folders = {path for paths in listed.values() for path in paths}
        there = [i for i in remote if targets.all[i].output_path in folders]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_LISTINGS_AT_ONCE) as pool:
            found_data |= dict(zip(there, pool.map(look, there), strict=True))
    for index, data in found_data.items():
        if isinstance(data, ForeignData):
            is_agreed = index in overwrite and overwrite[index] in (None, data.listing)
            seen[index] = (
                replace(seen[index], overwrites=data)
                if is_agreed
                else replace(seen[index], foreign=data)
            )


def _may_be_cleared(target: Target, seen: Observed) -> bool:
    """Return whether a build clears the output, and no status says that what is there is ours."""
    return (seen.status is None or _is_adopting(seen)) and not target.step.keeps_output


def _is_adopting(seen: Observed) -> bool:
    """Return whether an `adopt` that died left status and lease: they show no build."""
    lease = seen.lease
    return lease is not None and seen.gone and lease.is_adopting and not lease.is_sealed
