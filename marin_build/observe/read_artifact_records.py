"""The records that Marin left beside artifacts with a version, where no record of ours lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError
from marin_build.protocol import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.pipeline.targets import Target
    from marin_build.protocol.record_reader import Built
    from marin_build.store.base import Store


def read_artifact_records(
    store: Store,
    targets: Sequence[Target],
    indices: Sequence[int],
    on_damage: Callable[[int, str], object] = lambda _index, _path: None,
) -> dict[int, Built]:
    """Return what Marin recorded of some targets; those without such a record are left out.

    Args:
        store: where the outputs live.
        targets: the pipeline's targets.
        indices: which of them. Only steps with a version and a recipe have such records.
        on_damage: called with a target whose record is not readable, and the path of that.

    Raises:
        StoreError: the store cannot be read.

    """
    wanted = [i for i in indices if targets[i].step.has_recipe]
    if not wanted:
        return {}
    from marin_build.protocol.artifact_record_reader import parse_artifact_record  # loads datetime

    paths = [f"{targets[i].output_path}/{layout.ARTIFACT}" for i in wanted]
    found: dict[int, Built] = {}
    for index, path, blob in zip(wanted, paths, store.get_many(paths), strict=True):
        if blob is None:
            continue
        target = targets[index]
        recorded = str(target.step.hash_attrs.get("fingerprint", ""))
        try:
            built = parse_artifact_record(blob.data, path, target.fingerprint, recorded)
        except CorruptStateError:
            on_damage(index, path)
            continue
        if built is not None:
            found[index] = built
    return found
