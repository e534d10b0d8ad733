"""What changed in dependencies that are built already: the records of what they were tell it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from marin_build.changes import changes_between
from marin_build.protocol import layout
from marin_build.protocol.recorded import record_of_ours

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.fingerprint import Targets
    from marin_build.store.base import Store

_DEEPEST = 16
"""How many levels a change is followed to its root; each is a batch of reads."""


def causes_below(store: Store, targets: Targets, were: Mapping[str, str]) -> dict[str, str]:
    """Return what changed at the root of dependencies that are others than before, in words.

    Args:
        store: where the outputs live.
        targets: the pipeline's targets.
        were: id of a dependency of today -> what it was; both by hash, of one name.

    Returns:
        By id of today; what is not known is left out.

    Raises:
        StoreError: the store cannot be read.

    """
    causes: dict[str, str] = {}
    pending = {id_: (id_, old) for id_, old in were.items()}  # asked for -> how far down we are
    for _ in range(_DEEPEST):
        pending = {id_: at for id_, at in pending.items() if _is_sibling(targets, *at)}
        if not pending:
            break
        paths = [_path_of(targets, *at) for at in pending.values()]
        deeper: dict[str, tuple[str, str]] = {}
        for (id_, (now, _)), blob in zip(pending.items(), store.get_many(paths), strict=True):
            payload = record_of_ours(blob.data).get("payload") if blob is not None else None
            if not isinstance(payload, str):
                continue
            target = targets.all[targets.by_id[now]]
            changes = changes_between(json.loads(payload), target.step.payload)
            if changes:
                causes[id_] = changes[0].text
                if changes[0].path.startswith("deps."):
                    deeper[id_] = (str(changes[0].new), str(changes[0].old))
        pending = deeper
    return causes


def _is_sibling(targets: Targets, now: str, old: str) -> bool:
    """Return whether what a dependency was lies beside what it is: both are known by a hash."""
    index = targets.by_id.get(now)
    if index is None or "@" in now or len(now) != len(old):
        return False
    return targets.all[index].output_path.endswith(now)


def _path_of(targets: Targets, now: str, old: str) -> str:
    folder = targets.all[targets.by_id[now]].output_path.removesuffix(now)
    return f"{folder}{old}/{layout.RECORD}"
