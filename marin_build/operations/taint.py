"""Marks that condemn a build: `taint` sets them, a rebuild forgets them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.errors import StoreError

if TYPE_CHECKING:
    from marin_build.operations.loading import Loaded
    from marin_build.plan.decisions import Plan


def forget_taints(loaded: Loaded, plan: Plan) -> None:
    """Take away the marks of what was rebuilt: they mean nothing any more, but are read."""
    if not plan.snapshot.tainted:
        return
    from marin_build.observe.read_taints import read_taints
    from marin_build.protocol.taints import forget_taints

    with suppress(StoreError):
        still = read_taints(loaded.store, plan.targets, plan.snapshot.tainted)
        forget_taints(loaded.store, plan.targets, plan.snapshot.tainted.keys() - still.keys())
