"""What was hashed of the steps that outputs were made from, by records alone: level by level.

Each level is one batch of reads, so that a sweep of a thousand trainings is no more round trips
than one training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.identity.payload import HASHED_NAME
from marin_build.plan.metrics.hashed_step import HashedStep
from marin_build.plan.payload_diff import dependency_name
from marin_build.protocol import layout
from marin_build.protocol.marin_record import parse_marin_record
from marin_build.protocol.recipe_reader import parse_recipe
from marin_build.protocol.record_reader import readable_record
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marin_build.store.base import Store


MOST_STEPS = 20_000
"""Steps whose records are read at most: a record may name any number of others."""


def read_hashed_steps(
    store: Store, prefix: str, known: Mapping[str, HashedStep], wanted: Iterable[str]
) -> dict[str, HashedStep]:
    """Return the steps that `known` ones were made from, and all above these.

    Args:
        store: where the outputs live.
        prefix: where outputs live by default.
        known: output path -> step.
        wanted: output paths to begin with.

    Returns:
        Output path -> step; those whose records are not there or not readable are left out.

    Raises:
        StoreError: the store cannot be read.

    """
    found: dict[str, HashedStep] = {}
    seen = set(known)
    level = [path for path in dict.fromkeys(wanted) if path not in seen]
    while level and len(seen) - len(known) < MOST_STEPS:
        level = level[:MOST_STEPS]
        seen.update(level)
        read = _read_level(store, prefix, level)
        found |= read
        above = (path for step in read.values() for path in step.deps.values())
        level = [path for path in dict.fromkeys(above) if path not in seen]
    return found


def _read_level(store: Store, prefix: str, paths: list[str]) -> dict[str, HashedStep]:
    infos = store.get_many([f"{path}/{layout.RECORD}" for path in paths])
    records = {p: blob.data for p, blob in zip(paths, infos, strict=True) if blob is not None}
    others = [path for path in paths if path not in records]  # newer artifacts of Marin
    blobs = store.get_many([f"{path}/{layout.ARTIFACT}" for path in others]) if others else []
    artifacts = {p: blob.data for p, blob in zip(others, blobs, strict=True) if blob is not None}
    steps = {
        path: hashed_step(records.get(path), artifacts.get(path), path, prefix) for path in paths
    }
    return {path: step for path, step in steps.items() if step is not None}


def hashed_step(
    info: bytes | None, artifact: bytes | None, path: str, prefix: str
) -> HashedStep | None:
    """Return what was hashed of the step that left a record; None if no record says it.

    Args:
        info: the bytes of `.executor_info`, if there are any.
        artifact: those of `.artifact.json`; of Marin's records only.
        path: the output path.
        prefix: where outputs live by default.

    """
    recipe = parse_recipe(info, artifact)
    if recipe is None:
        return None
    built = readable_record(info)
    inside = path.removeprefix(f"{prefix}/")
    if built is not None:
        hashed = built.hashed
        if hashed is None:
            return None
        id_ = built.target or inside
        recorded = recipe.dep_paths or ("",) * len(recipe.deps)
        old = _prefix_of(id_, recipe.output_path)
        deps = {
            dep: _place(dep, place, old, prefix)
            for dep, place in zip(recipe.deps, recorded, strict=True)
        }
        name = dependency_name(id_)
        return HashedStep(name, hashed, layout.version_of(name, id_), _reachable(deps, prefix))
    record = parse_marin_record(info, artifact)
    if record is None:
        return None
    values = dict(record.values or record.config)
    places = {dep: _place_of_marin(dep, prefix) for dep in record.needs}
    # Names of dependencies as our payloads have them, not their paths.
    ids = {place.removeprefix(f"{prefix}/"): place for place in places.values()}
    name, at, version = (record.name or _name_of(inside)).partition("@")
    payload: dict[str, Any] = {"attrs": values, "deps": sorted(ids)}
    return HashedStep(name, payload, version if at else None, _reachable(ids, prefix))


def _prefix_of(id_: str, output: str) -> str | None:
    """Return the prefix under which an output was built: it may have been moved since."""
    return layout.prefix_of_output(output, dependency_name(id_), id_) if output else None


def _place(dep: str, recorded: str, old: str | None, prefix: str) -> str:
    """Return where the output of a dependency lies now."""
    usual = layout.output_under(prefix, dependency_name(dep), dep)
    if not recorded:
        return usual
    inside = recorded.removeprefix(f"{old}/") if old is not None else recorded
    return f"{prefix}/{inside}" if inside != recorded else recorded


def _place_of_marin(dep: str, prefix: str) -> str:
    if is_url(dep) or dep.startswith("/"):
        return dep
    return layout.output_under(prefix, dependency_name(dep), dep)


def _name_of(inside: str) -> str:
    hashed = HASHED_NAME.fullmatch(inside)
    return hashed["name"] if hashed is not None else inside


def _reachable(deps: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Return the places that the store of this prefix can read."""
    start = f"{prefix.partition('://')[0]}://" if is_url(prefix) else "/"
    return {
        dep: place for dep, place in deps.items() if place.startswith(start) and "\0" not in place
    }
