"""The steps that a program declares as it goes: which of them are to be built, after which others.

Each batch is read like a pipeline of its own, as far down as nothing is built; what an earlier
batch looked at is neither walked nor read again.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import (
    CorruptStateError,
    PreviousTaskFailedError,
    SpecificationError,
    StoppedError,
)
from marin_build.observe.descent import descend, needed
from marin_build.observe.read_records import read_built_into, read_places
from marin_build.observe.read_snapshot import read_statuses
from marin_build.pipeline.not_a_step import described
from marin_build.pipeline.refused_places import refused_places
from marin_build.pipeline.stands_for import StandsForLaterSteps
from marin_build.pipeline.step_spec import StepSpec
from marin_build.pipeline.targets import Target, clash_of, pin_errors
from marin_build.plan.reason_text import describe
from marin_build.protocol.holder import here
from marin_build.protocol.status import STATUS_DEP_FAILED, STATUS_FAILED, STATUS_SUCCESS
from marin_build.protocol.tombstone_writes import take_away
from marin_build.runtime.former_identities import keep_former_identities_of
from marin_build.store.open_store import open_store
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marin_build.errors import MarinBuildError
    from marin_build.plan.snapshot import Observed
    from marin_build.store.base import Store
    from marin_build.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Admitted:
    """A target to build.

    Args:
        index: which one of `Admission.targets`.
        needs: those that must be built before it; all were admitted before.
        problem: why it must not be built; None if it may be.

    """

    index: int
    needs: tuple[int, ...]
    problem: MarinBuildError | None = None


class Admission:
    """The steps of one program.

    Args:
        workspace: errors show places in files relative to its project.
        prefix: where their outputs live; None: each below the one of its own project.
        force_run_failed: whether targets that failed before are tried again.

    """

    def __init__(self, workspace: Workspace, prefix: str | None, *, force_run_failed: bool) -> None:
        self._workspace = workspace
        self._prefix = prefix
        self._force_run_failed = force_run_failed
        self.targets: list[Target] = []
        """All targets seen so far, one for each output path, dependencies first."""
        self.drifted: dict[int, str] = {}
        """Reused target -> how the identity that was built there differs, in words."""
        self._deps: list[tuple[int, ...]] = []
        self._by_step: dict[StepSpec, int] = {}
        self._by_path: dict[str, int] = {}
        self._doubles: dict[int, list[Target]] = defaultdict(list)
        """Target -> other steps of its output path, until they are compared with it."""
        self._new_doubles: list[int] = []
        self._looked_at: set[int] = set()
        self._built: set[int] = set()
        self._places: dict[int, str | None] = {}
        """Built target that others read -> where its adopted data lies; None if it has none."""

    def admit(self, steps: Sequence[StepSpec]) -> list[Admitted]:
        """Return what is to be built for some steps and was not admitted before.

        Raises:
            SpecificationError: steps contradict each other, or a pinned fingerprint.
            FingerprintMismatchError: another one than the pinned one was built.
            StoreError: a status or a record cannot be read.

        """
        given = [step for step in steps if isinstance(step, StepSpec)]
        keep_former_identities_of(given, self._prefix, self._by_step.__contains__)
        wanted = [self._place(step) for step in steps]
        seen: dict[int, Observed] = {}

        def read(batch: Sequence[int]) -> None:
            for store, together in self._by_store(batch):
                read_statuses(store, self.targets, together, seen, here())

        def is_open(index: int) -> bool:
            return self.targets[index].step.is_dev or seen[index].is_open

        known = self._looked_at
        descend(self._deps, wanted, read, is_open, seen=seen, known=known)
        fresh = sorted(needed(self._deps, wanted, is_open, known=known))
        self._refuse_contradictions(fresh)
        self._looked_at.update(fresh)
        problems = self._judge(fresh, seen)
        open_ones = {i for i in fresh if i not in problems and is_open(i)}
        self._read_places({dep for i in open_ones for dep in self._deps[i]} & self._built)
        admitted: list[Admitted] = []
        for index in fresh:
            if index in self._built:
                continue
            problem = problems.get(index)
            if problem is None and index in open_ones:
                problem = self._place_problem(index)
            is_waiting = problem is None and index in open_ones
            needs = [dep for dep in self._deps[index] if is_waiting and dep not in self._built]
            admitted.append(Admitted(index, tuple(needs), problem))
        return admitted

    def _place(self, step: StepSpec) -> int:
        """Return the place of a step, after it and all that it needs were given one."""
        pending = [step]
        while pending:
            current = pending[-1]
            if not isinstance(current, StepSpec):
                raise _no_step(current)
            if current not in self._by_step:
                missing = [dep for dep in current.deps if dep not in self._by_step]
                if missing:
                    pending.extend(reversed(missing))
                    continue
                self._by_step[current] = self._new_place(current)
            pending.pop()
        return self._by_step[step]

    def _new_place(self, step: StepSpec) -> int:
        output = step.output_path_in(self._prefix)
        target = Target(step, step.target_id, step.fingerprint, output)
        index = self._by_path.setdefault(output, len(self.targets))
        if index < len(self.targets):
            self._doubles[index].append(target)
            self._new_doubles.append(index)
        else:
            self.targets.append(target)
            self._deps.append(tuple(dict.fromkeys(self._by_step[dep] for dep in step.deps)))
        return index

    def _refuse_contradictions(self, fresh: Iterable[int]) -> None:
        """Refuse pinned fingerprints that do not match, and different steps of one output path."""
        steps = [self.targets[index].step for index in fresh]
        error = next(pin_errors(steps, self._workspace), None)
        places = [(self.targets[index].step, self.targets[index].output_path) for index in fresh]
        if (refused := next(refused_places(places, self._workspace), None)) is not None:
            error = error or refused[1]
        doubled = [i for i in self._new_doubles if i in self._looked_at]
        for index in (*fresh, *doubled):
            for other in self._doubles.pop(index, ()):
                error = error or clash_of(self.targets[index], other, self._workspace)
        self._new_doubles.clear()
        if error is not None:
            if self._looked_at:
                error.consequence = None  # what was admitted before may have run
            raise error

    def _judge(self, fresh: Sequence[int], seen: dict[int, Observed]) -> dict[int, MarinBuildError]:
        """Note what is built; return errors. Only a free path can hold another identity."""
        problems: dict[int, MarinBuildError] = {}
        self._take_tombstones_away(fresh, seen)
        built = [
            i for i in fresh if seen[i].status == STATUS_SUCCESS and not self.targets[i].step.is_dev
        ]
        loose = [i for i in built if self.targets[i].step.has_free_path]
        for store, together in self._by_store(loose):
            read_built_into(store, self.targets, together, seen)
        for index in loose:
            self._note_other_identity(index, seen[index])
        for index in fresh:
            step, it = self.targets[index].step, seen[index]
            if it.damage is not None:
                problems[index] = CorruptStateError(describe(it.damage))
            elif not self._force_run_failed and it.status in (STATUS_FAILED, STATUS_DEP_FAILED):
                problems[index] = PreviousTaskFailedError(
                    f"`{step.name}` failed before: {it.status}",
                    hint="allow it with force_run_failed=True",
                )
        self._built.update(i for i in built if i not in problems)
        return problems

    def _take_tombstones_away(self, fresh: Iterable[int], seen: dict[int, Observed]) -> None:
        """Keep `gc` from deleting what is used; what it deletes already is to be built."""
        marked = [i for i in fresh if seen[i].tombstone is not None and seen[i].is_built]
        for store, together in self._by_store(marked):
            for index in together:
                it, output = seen[index], self.targets[index].output_path
                assert it.tombstone is not None
                if take_away(store, output, it.status_version, it.tombstone) is None:
                    read_statuses(store, self.targets, [index], seen, here())

    def _note_other_identity(self, index: int, it: Observed) -> None:
        """Take note of another identity than is declared.

        Raises:
            FingerprintMismatchError: the declared one is pinned.

        """
        target = self.targets[index]
        if it.built is None or it.built.fingerprint == target.fingerprint:
            return
        from marin_build.observe.read_identity_drift import drift_report, pinned_error

        if target.step.is_pinned:
            raise pinned_error(target.step, target.output_path, it.built)
        self.drifted[index] = drift_report(target.step, it.built)

    def _read_places(self, built: Iterable[int]) -> None:
        unread = sorted(index for index in built if index not in self._places)
        for store, together in self._by_store(unread):
            self._places.update(read_places(store, self.targets, together))

    def _place_problem(self, index: int) -> StoppedError | None:
        """Return the error for a step that needs data adopted elsewhere; None if it needs none.

        Its function got its paths when it was declared, so it would not find that data.
        """
        for dep in self._deps[index]:
            if dep in self._built and (place := self._places[dep]) is not None:
                return StoppedError(
                    f"`{self.targets[index].id}` needs data that was adopted from `{place}`",
                    hint="build it with `marin-build apply`",
                )
        return None

    def _by_store(self, indices: Iterable[int]) -> Iterable[tuple[Store, list[int]]]:
        """Yield each store with those targets whose outputs it holds."""
        by_root: dict[str, list[int]] = defaultdict(list)
        for index in indices:
            output = self.targets[index].output_path
            by_root["/".join(output.split("/", 3)[:3]) if is_url(output) else ""].append(index)
        for together in by_root.values():
            yield open_store(self.targets[together[0]].output_path), together


def _no_step(value: object) -> SpecificationError:
    if isinstance(value, StandsForLaterSteps):
        return SpecificationError(
            f"cannot run {described(value)}: its steps are not known yet",
            consequence="nothing was run",
            hint="`marin-build apply` builds what it waits for, and then its steps",
        )
    return SpecificationError(f"cannot run a {type(value).__name__}: it is not a step")
