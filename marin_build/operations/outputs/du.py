"""`du`: what fills a prefix, by group, and what that costs a month in a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import NotFoundError
from marin_build.observe.read_inventory import list_sizes
from marin_build.operations.loading.find_pipeline import pipeline_file
from marin_build.operations.outputs.read_stored import read_stored
from marin_build.plan.disk_usage import is_within, usage_by_group, usage_of
from marin_build.plan.storage_price import per_gib_month
from marin_build.text.readable import did_you_mean
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.operations.outputs.read_stored import Stored
    from marin_build.plan.disk_usage import Usage
    from marin_build.plan.inventory import ForeignFolder


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """What fills a prefix.

    Args:
        stored: what lies there.
        groups: the usage of each group, the largest first.
        total: of all of them.
        foreign: folders that are not ours, with their sizes; empty where groups were named.
        bookkeeping: bytes of the runs, bundles, listings and caches of marin-build under the
            prefix; None: they were not looked at, or cannot be listed.
        price: US dollars for a GiB and a month; None: it is not known.
        is_narrowed: whether groups were named.

    """

    stored: Stored
    groups: tuple[Usage, ...]
    total: Usage
    foreign: tuple[ForeignFolder, ...]
    bookkeeping: int | None
    price: float | None
    is_narrowed: bool = False

    @property
    def size(self) -> int:
        """Bytes of all that was looked at."""
        foreign = sum(each.size or 0 for each in self.foreign)
        return self.total.size + foreign + (self.bookkeeping or 0)


def disk_usage(
    options: PipelineOptions, groups: Sequence[str] = (), *, depth: int = 1
) -> DiskUsage:
    """Return what fills a prefix.

    Args:
        options: name the pipeline and its prefix.
        groups: leading segments of names; none: all, and what is not ours.
        depth: by how many segments of their names outputs are grouped, below those of a group.

    Raises:
        NotFoundError: no output is of a group.
        UsageError: the file of prices is not readable.
        StoreError: the store cannot be read.

    """
    _, project, settings = pipeline_file(options)
    stored = read_stored(options, foreign_sizes=not groups)
    targets = stored.inventory.targets
    asked = [group.rstrip("/") for group in groups]
    for group in asked:
        if not any(is_within(each.name, group) for each in targets):
            raise _no_group(stored, group)
    wanted = [t for t in targets if not asked or any(is_within(t.name, group) for group in asked)]
    usages = [
        usage
        for group in dict.fromkeys(asked or [""])
        for usage in usage_by_group(targets, stored.declared, group, depth)
    ]
    price = None
    if is_url(stored.place.prefix):
        from marin_build.operations.planning.estimate import configured_prices

        price = per_gib_month(configured_prices(settings, project).storage, stored.place.prefix)
    return DiskUsage(
        stored,
        tuple(usages),
        usage_of(wanted, stored.declared),
        () if asked else stored.inventory.foreign,
        None if asked else _bookkeeping(stored),
        price,
        bool(asked),
    )


def _bookkeeping(stored: Stored) -> int | None:
    folders = stored.inventory.own_folders
    listed = list_sizes(stored.place.store, folders)
    return sum(each.size for each in listed.values()) if len(listed) == len(folders) else None


def _no_group(stored: Stored, group: str) -> NotFoundError:
    segments = [each.name.split("/") for each in stored.inventory.targets]
    known = {"/".join(parts[: end + 1]) for parts in segments for end in range(len(parts))}
    return NotFoundError(
        f"no output under `{stored.inventory.prefix}` is of the group `{group}`",
        hint=did_you_mean(group, sorted(known)) or "marin-build du shows all groups; see --prefix",
    )
