"""Earlier builds of a step's name, to tell what changed since, and how long they took.

The store keeps the records of all runs. One listing for each name finds them, or one for a folder
in which many names lie together; they are read in one batch.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError
from marin_build.identity.payload import HASHED_NAME
from marin_build.pipeline.recipe import has_chosen_path
from marin_build.plan.snapshot import Earlier
from marin_build.protocol import layout
from marin_build.protocol.executor_info_reader import parse_executor_info
from marin_build.protocol.marin_record import built_by_step_runner
from marin_build.protocol.record_reader import readable_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marin_build.pipeline.targets import Target, Targets
    from marin_build.protocol.record_reader import Built
    from marin_build.store.base import Store


_MOST = 400
"""How many records of one name are read; further ones are ignored."""
_MANY = 50
"""With more names than this in one folder, it is listed once, not once for each name."""
_AT_ONCE = 32


def read_history(
    store: Store,
    targets: Targets,
    indices: Sequence[int],
    *,
    most: int = _MOST,
    listed: dict[str, list[str]] | None = None,
) -> dict[int, tuple[Earlier, ...]]:
    """Return the latest earlier builds of some targets' names, by index.

    A record at a target's own path is among them: it was built, and its status is gone.

    Args:
        store: where the outputs live.
        targets: the pipeline's targets.
        indices: which of them.
        most: how many records of one name are read; they need not be the latest.
        listed: folders that were listed before; see `list_builds`.

    Raises:
        StoreError: the store cannot be read.

    """
    found = {} if listed is None else listed
    starts = list_builds(store, targets, indices, found)
    if not any(found.values()):
        return {}
    candidates = {
        i: sorted(found.get(start, ()), key=lambda path: path != targets.all[i].output_path)[:most]
        for i, start in starts.items()
    }
    paths = list(dict.fromkeys(path for paths in candidates.values() for path in paths))
    blobs = store.get_many([f"{path}/{layout.RECORD}" for path in paths])
    there = {path: blob.data for path, blob in zip(paths, blobs, strict=True) if blob is not None}
    records = _records(there, targets)
    recipes = [i for i in candidates if targets.all[i].step.has_recipe]
    unread = {path for i in recipes for path in candidates[i]} - records.keys()
    if unread:
        records |= _recorded_by_marin(store, sorted(unread))
    history: dict[int, tuple[Earlier, ...]] = {}
    for index, folders in candidates.items():
        name = targets.all[index].name
        builds = [
            r for path in folders if (r := records.get(path)) and r.payload.get("name") == name
        ]
        if builds:
            latest = sorted(builds, key=lambda build: build.built.end, reverse=True)
            history[index] = tuple(latest)
    return history


def list_builds(
    store: Store, targets: Targets, indices: Iterable[int], listed: dict[str, list[str]]
) -> dict[int, str]:
    """List the output folders of all builds of some targets' names.

    Args:
        store: where the outputs live.
        targets: the pipeline's targets.
        indices: which of them.
        listed: the folders that were listed, by how their paths begin; what begins otherwise is
            listed and joins them.

    Returns:
        How the paths of each target's name begin; one with a path of its own has no other builds.

    Raises:
        StoreError: the store cannot be read.

    """
    starts = {
        i: _start(targets.all[i]) for i in indices if not has_chosen_path(targets.all[i].step)
    }
    new = dict.fromkeys(start for start in starts.values() if start not in listed)
    if new:
        found = folders_by_start(store, new)
        listed.update((start, found.get(start, [])) for start in new)
    return starts


def _start(target: Target) -> str:
    """Return how the output paths of all builds of this name begin."""
    if target.step.version is not None:
        return target.output_path.removesuffix(target.step.version)
    return target.output_path.removesuffix(target.step.hash_id)


def folders_by_start(store: Store, starts: Iterable[str]) -> dict[str, list[str]]:
    """Return the output folders whose paths are a start with a hash or a version behind it.

    Args:
        store: where they live.
        starts: `{prefix}/{name}_` and `{prefix}/{name}-` for hashes, with `/` for versions.

    Returns:
        Start -> paths, without starts that have none.

    Raises:
        StoreError: the store cannot be listed.

    """
    by_parent: dict[str, list[str]] = {}
    asked_for = dict.fromkeys(starts)
    for start in asked_for:
        by_parent.setdefault(start.rpartition("/")[0], []).append(start)
    asked: list[str] = []
    for parent, inside in by_parent.items():
        asked += [f"{parent}/"] if store.is_local or len(inside) > _MANY else inside
    if store.is_local or len(asked) == 1:
        listings = [store.folders(start) for start in asked]
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            listings = list(pool.map(store.folders, asked))
    versions = {start for start in asked_for if start.endswith("/")}
    found: dict[str, list[str]] = {}
    for listing in listings:
        for path in listing:
            if (hashed := HASHED_NAME.fullmatch(path)) is not None:
                found.setdefault(hashed["start"], []).append(path)
            folder = path[: path.rindex("/") + 1]
            if folder in versions:
                found.setdefault(folder, []).append(path)
    return found


def _recorded_by_marin(store: Store, folders: Sequence[str]) -> dict[str, Earlier]:
    """Return what Marin recorded in some folders; those without a readable record are left out."""
    found: dict[str, Earlier] = {}
    if not folders:
        return found
    from marin_build.protocol.artifact_record_reader import parse_artifact_record  # loads datetime

    blobs = store.get_many([f"{folder}/{layout.ARTIFACT}" for folder in folders])
    for folder, blob in zip(folders, blobs, strict=True):
        with suppress(CorruptStateError):
            built = parse_artifact_record(blob.data, folder) if blob is not None else None
            if (earlier := _earlier(built)) is not None:
                found[folder] = earlier
    return found


def _records(infos: Mapping[str, bytes], targets: Targets) -> dict[str, Earlier]:
    """Return what the records in some folders say, ours and those of Marin."""
    found: dict[str, Earlier] = {}
    ids: dict[str, str] = {}
    for path, info in infos.items():
        built = readable_record(info) or parse_executor_info(info)
        if built is None:
            ids = ids or {target.output_path: target.id for target in targets.all}
            built = built_by_step_runner(info, ids)
        if (earlier := _earlier(built)) is not None:
            found[path] = earlier
    return found


def _earlier(built: Built | None) -> Earlier | None:
    """Return what a record says; None where it does not say what was hashed."""
    hashed = built.hashed if built is not None else None
    if built is None or hashed is None:
        return None
    return Earlier(built, hashed)
