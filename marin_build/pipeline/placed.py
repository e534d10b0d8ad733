"""Values that bring resources; apart from `resources`, which few pipelines import."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marin_build.pipeline.resources import ResourceConfig


class Placed:
    """A function that builds a step and names the resources it needs; these are never identity."""

    __slots__ = ()

    resources: ResourceConfig


class StandsForResources:
    """A value that a step may be given in the place of a ResourceConfig."""

    __slots__ = ()

    @property
    def lowered_resources(self) -> ResourceConfig:
        """What the step runs on.

        Raises:
            SpecificationError: there are no such resources.

        """
        raise NotImplementedError
