"""Values of other dialects that stand for a step, or for what a step runs on."""

from __future__ import annotations

from typing import Any

from marin_build.pipeline.placed import StandsForResources

__all__ = ["StandsForResources", "StandsForStep"]


class StandsForStep:
    """A value that a pipeline may offer, or a step be given, in the place of a step."""

    __slots__ = ()

    @property
    def lowered_step(self) -> Any:
        """The StepSpec; of one value always the same one, while one workspace is in force."""
        raise NotImplementedError
