"""Prefixes that hold no output yet: nothing need be asked about any target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.store.local import LocalStore
from marin_build.store.local_listing import holds_nothing

if TYPE_CHECKING:
    from marin_build.pipeline.targets import Targets
    from marin_build.store.base import Store


def is_bare(store: Store, targets: Targets) -> bool:
    """Return whether no target, and nothing that any was before, can have an output or a status.

    A look at one folder tells that, of a prefix on this machine's disk whose targets all lie in it.
    """
    if not isinstance(store, LocalStore) or targets.traits.with_places or targets.workspace.adopted:
        return False
    return holds_nothing(targets.workspace.prefix)
