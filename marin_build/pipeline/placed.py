"""What builds a step and says itself what it needs. Few steps do, so `resources` is apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marin_build.pipeline.resources import ResourceConfig


class Placed:
    """What builds a step and says itself what it needs where it runs; never identity."""

    __slots__ = ()

    resources: ResourceConfig
