"""The methods of `Project` that change what the store says of targets, and build nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.operations.python_api.project_base import ProjectBase

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from marin_build.apply.events import Event
    from marin_build.operations.marks.accept import AcceptedDrift
    from marin_build.operations.marks.adopt import AdoptedOutput
    from marin_build.operations.marks.commit import CommittedTarget
    from marin_build.operations.marks.taint import TaintedTargets, Untainted
    from marin_build.operations.marks.unlock import UnlockedTarget


class ProjectMarks(ProjectBase):
    """The methods of `Project` that change what the store says of targets.

    Each does what its command does, takes selectors and raises as `ProjectTargets` says; also
    StoreError if the store cannot be written.
    """

    def accept(self, target: str, *others: str, reason: str) -> AcceptedDrift:
        """Record that the code and environment of today are as good as those that built targets.

        Args:
            target, others: which ones.
            reason: why the difference does not matter.

        """
        from marin_build.operations.marks.accept import accept_drift

        with self._loaded() as loaded:
            return accept_drift(loaded, (target, *others), reason)

    def taint(
        self, target: str, *others: str, reason: str, dry_run: bool = False
    ) -> TaintedTargets:
        """Mark built targets, and all built ones that were made from them, as bad.

        Args:
            target, others: which ones.
            reason: why they are bad; every plan will say so.
            dry_run: mark nothing.

        """
        from marin_build.operations.marks.taint import taint_targets

        with self._loaded() as loaded:
            return taint_targets(loaded, (target, *others), reason, dry_run=dry_run)

    def untaint(self, target: str, *others: str, dry_run: bool = False) -> Untainted:
        """Take away the marks that follow from some targets.

        Args:
            target, others: those that were tainted.
            dry_run: only read the marks.

        """
        from marin_build.operations.marks.taint import untaint_targets

        with self._loaded() as loaded:
            return untaint_targets(loaded, (target, *others), dry_run=dry_run)

    def adopt(
        self,
        target: str,
        place: str | os.PathLike[str] | None = None,
        *,
        reason: str | None = None,
        force: bool = False,
        lease: bool = True,
        on_event: Callable[[Event], None] | None = None,
    ) -> AdoptedOutput:
        """Register existing data as the output of a target that is not built.

        Args:
            target: which one.
            place: where the data lies, a folder or a URL; nothing is ever written or deleted there.
                None: at the target's output path.
            reason: why; kept in the record.
            force: adopt what looks unfinished or damaged, or what was adopted before.
            lease: whether the store must have conditional writes; without, no other run may build.
            on_event: called with warnings.

        Raises:
            StoppedError: another run holds the target, or the place must not be adopted.

        """
        from os import fspath

        from marin_build.operations.marks.adopt import adopt_target

        with self._loaded() as loaded:
            return adopt_target(
                loaded,
                target,
                fspath(place) if place is not None else None,
                reason,
                force=force,
                lease=lease,
                on_event=on_event or (lambda _event: None),
            )

    def commit(
        self,
        target: str,
        artifact: bytes | None,
        *,
        on_event: Callable[[Event], None] | None = None,
    ) -> CommittedTarget:
        """Commit the kept output of a step that did its work and returned what cannot be saved.

        Args:
            target: which one.
            artifact: what the step returned, as JSON; None: as if it returned nothing.
            on_event: called with warnings.

        Raises:
            StoppedError: another run holds the target, or its output is not as the step left it.

        """
        from marin_build.operations.marks.commit import commit_target

        with self._loaded() as loaded:
            return commit_target(
                loaded, target, artifact, on_event=on_event or (lambda _event: None)
            )

    def unlock(self, target: str, *, force: bool = False, kill: bool = False) -> UnlockedTarget:
        """Remove the lease on a target whose holder died.

        Args:
            target: which one.
            force: remove a lease whose holder may live.
            kill: kill what a dead holder has left working on this machine.

        Raises:
            StoppedError: the holder may live, or its work does; or the target is committed.

        """
        from marin_build.operations.marks.unlock import unlock_target

        with self._loaded() as loaded:
            return unlock_target(loaded, target, force=force, kill=kill)
