"""What one attempt is built from, its code and inputs: looked at before it and after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError
from marin_build.plan.outcomes import Stopped

if TYPE_CHECKING:
    from marin_build.run_step.input_files import Before
    from marin_build.run_step.session import Session


CODE_CHANGED = "code changed while the step ran"


@dataclass(slots=True)
class Checks:
    """The checks of one attempt.

    Args:
        session: the run.
        index: which target.

    """

    session: Session
    index: int
    _before: Before | None = field(default=None, init=False)

    def begin(self) -> Stopped | None:
        """Look at the code and the outputs the body uses; return why it must not run with them.

        Raises:
            StoreError: the store cannot be read.

        """
        if changed := self._changed_code():
            name = self.session.targets.all[self.index].step.name
            return _stopped(f"the code of `{name}` changed since it was loaded", changed)
        if self.session.inputs is not None:
            looked = self.session.inputs.look(self.index)
            if isinstance(looked, Stopped):
                return looked
            self._before = looked
        return None

    def code(self) -> Stopped | None:
        """Return why what the body left must not be committed; None if its code is as it was."""
        changed = self._changed_code()
        return _stopped(CODE_CHANGED, changed) if changed else None

    def inputs(self) -> str:
        """Return which files of the outputs it reads were written while it ran, in words.

        Raises:
            StoreError: that cannot be written down for later runs.

        """
        inputs = self.session.inputs
        if inputs is None or self._before is None:
            return ""
        return inputs.changed(self._before, self.session.targets.all[self.index].id)

    def hint(self) -> str:
        """Return what to do about code or inputs that are not as they were, after a failure."""
        inputs = self.session.inputs
        try:
            if changed := self._changed_code():
                return f"{CODE_CHANGED}: {changed}; apply again"
            self.inputs()
            return inputs.hint(self.index) if inputs is not None else ""
        except (MarinBuildError, OSError):  # the failure is what counts
            return ""

    def _changed_code(self) -> str:
        return self.session.code.changed(self.index) if self.session.code is not None else ""


def _stopped(what: str, changed: str) -> Stopped:
    return Stopped(f"{what}: {changed}", hint="apply again: that runs the code as it is now")
