"""Values of other dialects that stand for a step, or for what a step runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marin_build.pipeline.resources import ResourceConfig


class StandsForStep:
    """A value that a pipeline may offer, or a step be given, in the place of a step."""

    __slots__ = ()

    @property
    def lowered_step(self) -> Any:
        """The StepSpec; of one value always the same one, while one workspace is in force."""
        raise NotImplementedError


class StandsForLaterSteps:
    """A value that a pipeline may offer, and no step be given: steps that are not known yet.

    `pipeline/expansion.py`, which has them, is imported only where there are some.
    """

    __slots__ = ()
    declared: tuple[str, int]


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
