"""Takes the marks of bad builds away, after the targets were built again."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.errors import StoreError

if TYPE_CHECKING:
    from marin_build.operations.loading.loading import Loaded
    from marin_build.plan.decisions import Plan


def forget_taints(loaded: Loaded, plan: Plan) -> None:
    """Take away the marks of rebuilt targets: they no longer hold, but every plan reads them."""
    if not plan.snapshot.tainted:
        return
    from marin_build.observe.read_taints import read_taints
    from marin_build.protocol.taints import forget_taints

    with suppress(StoreError):
        still = read_taints(loaded.store, plan.targets, plan.snapshot.tainted)
        forget_taints(loaded.store, plan.targets, plan.snapshot.tainted.keys() - still.keys())
