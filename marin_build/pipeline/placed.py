"""Values that bring resources; apart from `resources`, which few pipelines import."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marin_build.pipeline.resources import ResourceConfig


class Placed:
    """A function that builds a step and names the resources it needs; these are never identity."""

    __slots__ = ()

    resources: ResourceConfig
