"""A plan and all facts about it; each is read or computed when it is first used."""

from __future__ import annotations

from dataclasses import field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from marin_build.errors import NOTHING_WRITTEN, UsageError
from marin_build.garbage_collector import without_garbage_collector
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from marin_build.emit.plan_rows import Shown, WaysOut
    from marin_build.engines.base import Engine
    from marin_build.observe.read_drift import FoundDrift
    from marin_build.operations.loading.loading import Loaded
    from marin_build.pipeline.resources import ResourceConfig
    from marin_build.pipeline.targets import Target
    from marin_build.plan.blast_radius import BlastRadius
    from marin_build.plan.capacity import Capacity
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument
    from marin_build.plan.drift import Drift
    from marin_build.plan.drifted_targets import DriftedTargets
    from marin_build.plan.estimate import PlanEstimate
    from marin_build.plan.plan_summary import Verb
    from marin_build.plan.prices import Prices
    from marin_build.plan.progress import Progress
    from marin_build.plan.regions import CrossRegionRead


_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What is to be planned.

    Args:
        targets: selectors; none: what the pipeline requests.
        forced: selectors of targets to build again although they are built.
        assume_changed, assume_built: selectors of what counts as changed, or as built.
        rerun_failed: build again what failed before; else it is blocked.
        jobs: how many targets are built at once; None: as configured, or as many as there are
            cores.
        budgets: name -> amount of what steps take, in place of one configured or found here.
        overwrite: selectors of targets whose foreign data may be deleted.
        progress: what the run has done already that goes on with the plan; None: it begins.

    """

    targets: tuple[str, ...] = ()
    forced: tuple[str, ...] = ()
    assume_changed: tuple[str, ...] = ()
    assume_built: tuple[str, ...] = ()
    rerun_failed: bool = True
    jobs: int | None = None
    budgets: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    overwrite: tuple[str, ...] = ()
    progress: Progress | None = None

    @property
    def named(self) -> tuple[str, ...]:
        """The selectors of all that it is about; empty: the whole pipeline."""
        others = (*self.forced, *self.assume_changed, *self.assume_built, *self.overwrite)
        return (*self.targets, *others) if self.targets else ()


def refuse_assumptions(changed: Sequence[str], built: Sequence[str]) -> None:
    """Refuse to save a plan that rests on assumptions.

    Raises:
        UsageError: something is assumed.

    """
    if changed or built:
        raise UsageError(
            "a plan with assumptions cannot be written: the store is not as it assumes",
            consequence=NOTHING_WRITTEN,
            hint="leave out -o, or --assume-changed and --assume-built",
        )


@dataclass(frozen=True)
class Planned:
    """A plan for a pipeline and its store; it stays as it was when the store was read.

    Args:
        loaded: the pipeline and its store.
        decided: the plan as it is saved and built: fitted to this machine, with causes if it was
            made with its history.
        request: what was asked for.
        capacity: reads, once, what this machine has.
        pinned_code: target id -> code digest, of a plan that was saved.
        folder: where it was saved; empty if it was not.
        bundle: the name of the bundle of code in that folder, if its jobs load one.

    """

    loaded: Loaded
    decided: Plan
    request: PlanRequest
    capacity: Callable[[], Capacity]
    pinned_code: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    folder: str = ""
    bundle: str | None = None

    @cached_property
    def engine(self) -> Engine[Any]:
        """What builds the steps."""
        from marin_build.operations.loading.loading import chosen_engine

        return chosen_engine(self.loaded)

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to build and nothing to publish."""
        return not self.decided.to_build and not self.decided.sealed

    @property
    def reused(self) -> int:
        """How many targets are built, pruned ones included."""
        return self.decided.summary()["reuse"] + self.decided.pruned

    @cached_property
    def found(self) -> FoundDrift:
        """The drift of reused targets; a saved plan has none, because machines differ in it."""
        return self._find_drift(parts=True)

    @cached_property
    def kinds_of_drift(self) -> Mapping[int, Drift]:
        """The drift of reused targets, by index; which parts of their code differ is not read."""
        return self._find_drift(parts=False).drift

    @property
    def drifted(self) -> tuple[DriftedTargets, ...]:
        """The reused targets that drifted, grouped by how."""
        if not self.kinds_of_drift:
            return ()
        from marin_build.plan.drifted_targets import drifted_targets

        return drifted_targets(self.decided.targets, self.kinds_of_drift)

    def _find_drift(self, *, parts: bool) -> FoundDrift:
        from marin_build.observe.read_drift import find_drift
        from marin_build.operations.loading.loading import environments_for

        environments = environments_for(self.loaded, self.engine)
        return find_drift(self.loaded.store, self.decided, environments, parts=parts)

    @property
    def plan(self) -> Plan:
        """The plan as it is shown: accepted drift is a reason in it."""
        return self.found.plan

    @cached_property
    def drift(self) -> Mapping[int, Drift]:
        """How reused targets differ from what is declared now, by index."""
        return self.found.drift

    @cached_property
    def estimate(self) -> PlanEstimate:
        """How long it may take and what it may cost; of a plan that was made with its history."""
        from marin_build.operations.planning.estimate import estimate_for

        return estimate_for(
            self.loaded, self.plan, self.engine, self.request.jobs, self.request.budgets
        )

    @cached_property
    def reads(self) -> list[CrossRegionRead]:
        """What steps to build read from other regions."""
        from marin_build.plan.regions import cross_region_reads

        return cross_region_reads(self.plan, self.loaded.settings.regions)

    @cached_property
    def radius(self) -> BlastRadius:
        """Which changes cause which rebuilds."""
        from marin_build.plan.blast_radius import blast_radius

        return blast_radius(self.plan, self.estimate)

    @cached_property
    def _prices(self) -> Prices:
        from marin_build.operations.planning.estimate import prices_of

        return prices_of(self.loaded)

    @cached_property
    def id(self) -> str:
        """The short name of the plan: `p-81c2d3e4`."""
        from marin_build.plan.plan_id import plan_id

        parameters = self.loaded.pipeline.parameters
        return plan_id(self.plan, self.loaded.file, parameters, self.engine.name)

    def document(self, *, show_pruned: bool = False) -> PlanDocument:
        """Return the plan as plan.json has it, with its drift; no code is pinned in it."""
        from marin_build.plan.document_of_plan import plan_document

        return plan_document(
            self.plan,
            pipeline=self.loaded.file,
            parameters=self.loaded.pipeline.parameters,
            engine=self.engine.name,
            pin_code=False,
            show_pruned=show_pruned,
            drift=self.drift,
        )

    @without_garbage_collector()
    def shown(
        self,
        again: tuple[str, str],
        *,
        verbose: bool = False,
        only: Collection[Verb] = (),
        folder: str = "",
        ways_out: WaysOut = (),
    ) -> Shown:
        """Return the lines for people; see `plan_view.show`.

        Args:
            again, verbose, only, ways_out: what to show.
            folder: where the plan was written, as people should read it; empty: nowhere.

        """
        from marin_build.emit.plan_view import show

        def spec_of(target: Target) -> str:
            spec = self.engine.spec_of(self.loaded.workspace, target) if folder else ""
            return f"{folder}/{spec}" if spec else ""

        def price_of(resources: ResourceConfig) -> str:
            return self._prices.range_text(resources)  # read only where a line shows a price

        return show(
            self.plan,
            self.id,
            again,
            self.estimate,
            self.drift,
            reads=self.reads,
            verbose=verbose,
            only=only,
            place_of=self.engine.place_of if self.engine.sends_steps else None,
            spec_of=spec_of,
            price_of=price_of,
            ways_out=ways_out,
        )

    def with_adopted(self) -> Planned:
        """Return the plan whose steps read adopted data where it lies.

        Raises:
            SpecificationError: loaded again, the pipeline declares other targets.
            StoreError: adopted data cannot be looked up.

        """
        from marin_build.operations.loading.adopted_data import with_adopted

        loaded, plan = with_adopted(self.loaded, self.decided)
        return replace(self, loaded=loaded, decided=plan)
