"""What each step would be built in today: this machine, or the image of an engine."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marin_build.code.drift import environment_drift
from marin_build.environment import Environment, Here, read_here

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from marin_build.cli.loading import Loaded
    from marin_build.code.drift import ValueDrift
    from marin_build.step_spec import StepSpec


@dataclass(slots=True)
class Environments:
    """The environments of one plan; this machine's is read once, and only if it is asked for.

    Args:
        loaded: the pipeline.
        engine: where its steps would be built today.

    """

    loaded: Loaded
    engine: str
    _here: Here | None = field(default=None, init=False)
    _last: tuple[object, ...] = field(default=(), init=False)
    """The newest question, and below it the answer."""
    _drift: tuple[ValueDrift, ...] = field(default=(), init=False)

    def today(self, step: StepSpec, recorded: Mapping[str, Any] | None) -> Environment:
        """Return what a step would be built in.

        Of another engine, only the image is known: what is installed here says nothing about it.

        Args:
            step: the step.
            recorded: the environment in a record; its distributions are looked up.

        """
        if self._here is None:
            self._here = read_here(self.loaded.workspace.project, os.environ)
        if self.engine == "local":
            return self._here.with_distributions(
                Environment.of_record(recorded).distributions or ()
            )
        given = step.resources.image if step.resources is not None else None
        image = given or self.loaded.settings.kubernetes.get("image")
        return Environment(locks=self._here.locks, image=image if isinstance(image, str) else None)

    def drift(self, step: StepSpec, recorded: Mapping[str, Any] | None) -> tuple[ValueDrift, ...]:
        """Return how what built a step differs from that; nothing if its record does not say."""
        if recorded is None:
            return ()
        image = step.resources.image if step.resources is not None else None
        if (recorded, image) != self._last:  # one run records the same for most of its targets
            then, now = Environment.of_record(recorded), self.today(step, recorded)
            self._last, self._drift = (recorded, image), environment_drift(then, now)
        return self._drift
