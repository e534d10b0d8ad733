"""Earlier builds of a step's name, to tell what changed since, and how long they took.

The store keeps the records of all runs. One listing for each name finds them, or one for a folder
in which many names lie together; they are read in one batch.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from marin_build.identity.payload import HASHED_NAME
from marin_build.plan.snapshot import Earlier
from marin_build.protocol import layout
from marin_build.protocol.record_reader import readable_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marin_build.pipeline.targets import Target, Targets
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
    records = {
        path: record
        for path, blob in zip(paths, blobs, strict=True)
        if blob is not None and (record := _earlier(blob.data)) is not None
    }
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
        i: _start(targets.all[i])
        for i in indices
        if targets.all[i].step.override_output_path is None
    }
    new = dict.fromkeys(start for start in starts.values() if start not in listed)
    if new:
        found = _folders(store, new)
        listed.update((start, found.get(start, [])) for start in new)
    return starts


def _start(target: Target) -> str:
    """Return how the output paths of all builds of this name begin."""
    if target.step.version is not None:
        return target.output_path.removesuffix(target.step.version)
    return target.output_path.removesuffix(target.step.hash_id)


def _folders(store: Store, starts: Iterable[str]) -> dict[str, list[str]]:
    """Return the output folders that begin with each start, by start."""
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


def _earlier(data: bytes) -> Earlier | None:
    """Return what a record of ours says; None for any other document, which explains nothing."""
    built = readable_record(data)
    hashed = built.hashed if built is not None else None
    if built is None or hashed is None:
        return None
    return Earlier(built, hashed)
