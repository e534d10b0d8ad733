"""What was hashed of the steps that outputs were made from, by records alone: level by level.

Each level is one batch of reads, so that a sweep of a thousand trainings is no more round trips
than one training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.plan.metrics.hashed_step import HashedStep
from marin_build.plan.payload_diff import dependency_name
from marin_build.protocol import layout
from marin_build.protocol.marin_record import parse_marin_record
from marin_build.protocol.recipe_reader import made_from, parse_recipe
from marin_build.protocol.record_reader import readable_record
from marin_build.workspace.places import is_readable_from

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
    inside = path.removeprefix(f"{prefix}/")
    deps = made_from(recipe, prefix)
    built = readable_record(info)
    if built is not None:
        hashed, id_ = built.hashed, built.target or inside
        if hashed is None:
            return None
        name = dependency_name(id_)
        old = layout.prefix_of_output(recipe.output_path, name, id_) or prefix
        now = {dep: _moved(place, old, prefix) for dep, place in deps}
        return HashedStep(name, hashed, layout.version_of(name, id_), _reachable(now, prefix))
    record = parse_marin_record(info, artifact)
    if record is None:
        return None
    # Ids of dependencies, as our payloads have them, where Marin's records have paths.
    ids = {place.removeprefix(f"{prefix}/"): place for _, place in deps}
    name, at, version = (record.name or dependency_name(inside)).partition("@")
    payload: dict[str, Any] = {
        "attrs": dict(record.values or record.config),
        "deps": sorted(ids),
    }
    return HashedStep(name, payload, version if at else None, _reachable(ids, prefix))


def _moved(place: str, old: str, prefix: str) -> str:
    """Return where an output is now that lay under another prefix when it was used."""
    inside = place.removeprefix(f"{old}/")
    return place if inside == place else f"{prefix}/{inside}"


def _reachable(deps: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Return the places that the store of this prefix can read."""
    return {dep: place for dep, place in deps.items() if is_readable_from(place, prefix)}
