"""Data that crosses regions: reads of steps to build from a region they do not run in. Pure.

The configuration names the region of a prefix. Without that, the region is the one in the name of
the bucket, as in `gs://marin-us-central2`, if there is one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from marin_build.plan.decisions import Kind
from marin_build.quick_dataclass import dataclass
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from marin_build.plan.decisions import Plan


# As Google and Amazon name them: us-central2, europe-west4, us-east-1. Marin writes eu for europe.
_REGION = re.compile(
    r"(?<![a-z0-9])(?P<area>africa|ap|asia|australia|ca|eu|europe|me|northamerica|southamerica|us)"
    r"-(?P<part>(?:north|south|east|west|central)(?:east|west)?-?[0-9]{1,2})(?![a-z0-9])"
)
_AREAS = {"eu": "europe"}


@dataclass(frozen=True, slots=True)
class CrossRegionRead:
    """A step will read data of another region.

    Args:
        target: id of the step's target.
        read: id of the target, or name of the source, that it reads.
        regions: where the step may run.
        region: where the data lies.
        size: bytes; None if no record has them.

    """

    target: str
    read: str
    regions: tuple[str, ...]
    region: str
    size: int | None


def region_of(place: str, known: Mapping[str, str]) -> str | None:
    """Return the region of a place in a store; None if it is unknown.

    Args:
        place: a path or URL.
        known: region by prefix, from the configuration; the longest prefix that fits counts.

    """
    fitting = [p for p in known if place == p or place.startswith(f"{p.rstrip('/')}/")]
    if fitting:
        return known[max(fitting, key=len)]
    if not is_url(place):
        return None
    match = _REGION.search(place.split("://", 1)[1].partition("/")[0])
    if match is None:
        return None
    area, part = match["area"], match["part"]
    return f"{_AREAS.get(area, area) if '-' not in part else area}-{part}"


def cross_region_reads(plan: Plan, known: Mapping[str, str]) -> list[CrossRegionRead]:
    """Return the reads of steps to build from regions that they do not run in."""
    found: list[CrossRegionRead] = []
    for decision in plan.of_kind(Kind.RUN) if plan.targets.traits.with_needs else ():
        resources = plan.targets.all[decision.index].step.resources
        if resources is not None and resources.places:
            found.extend(_reads(plan, decision.index, resources.places, known))
    return found


def _reads(
    plan: Plan, index: int, regions: tuple[str, ...], known: Mapping[str, str]
) -> Iterator[CrossRegionRead]:
    targets = plan.targets
    target = targets.all[index]
    places = [(targets.all[dep].id, *_data_of(plan, dep)) for dep in targets.deps[index]]
    places += [(source.name, source.location, None) for source in target.step.inputs.values()]
    for name, place, size in places:
        region = region_of(place, known)
        if region is not None and region not in regions:
            yield CrossRegionRead(target.id, name, regions, region, size)


def _data_of(plan: Plan, index: int) -> tuple[str, int | None]:
    """Return where a target's data lies (elsewhere, if adopted), and its bytes if known."""
    built, output = plan.snapshot.of(index).built, plan.targets.all[index].output_path
    if built is None:
        return output, None
    return built.adopted_from or output, built.size or None
