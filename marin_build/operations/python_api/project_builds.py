"""The methods of `Project` that build: `apply`, and its events one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.operations.loading.loading import load
from marin_build.operations.loading.options import PipelineOptions
from marin_build.operations.python_api.project_base import ProjectBase, request_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Unpack

    from marin_build.apply.events import ApplyFinished, Event
    from marin_build.operations.building.prepare_apply import Terms
    from marin_build.operations.loading.config import OnDrift
    from marin_build.operations.planning.planned import Planned, PlanRequest
    from marin_build.operations.python_api.project_base import ApplyOptions, Selectors

    _OnStart = Callable[[Callable[[], None]], None]


class ProjectBuilds(ProjectBase):
    """The methods of `Project` that build targets."""

    def apply(
        self,
        *targets: str,
        on_event: Callable[[Event], None] | None = None,
        force: Selectors = (),
        rerun_failed: bool = True,
        jobs: int | None = None,
        budgets: Mapping[str, object] | None = None,
        keep_going: bool = False,
        max_failures: int | None = None,
        fail_fast: bool = False,
        isolation: str | None = None,
        lease: bool = True,
        trace: str | None = None,
        overwrite: Selectors = (),
        on_drift: OnDrift | None = None,
        stream_logs: bool = False,
    ) -> ApplyFinished:
        """Build the targets that are not built; return the totals.

        In the main thread, Ctrl-C or an interrupt of the kernel ends the run in good order.

        Args:
            targets: selectors, as for `plan`; or the folder of a saved plan alone.
            on_event: called with every event, in this thread.
            force, rerun_failed, budgets, overwrite: as for `plan`.
            jobs: targets built at once; None: as configured, or as many as there are cores.
            keep_going: after a failure, go on with steps that do not need the failed one.
            max_failures: go on after failures until there are this many.
            fail_fast: after the failure that ends the run, end the running steps, too.
            isolation: `process`, `worker` or `thread`, or the name of an engine that runs steps on
                this machine in jobs of its own, which is then the engine; None: as configured.
            lease: whether the store must have conditional writes; without, no other run may build.
            trace: file to write a trace to when the run is over.
            on_drift: `report` or `fail`: build nothing if a reused target drifted; None: as
                configured.
            stream_logs: whether the lines that steps print are events, `StepPrinted`.

        Raises:
            StoppedError: a reused target drifted, and nothing may be built beside it.
            ApplyFailedError: targets failed, or are blocked; it has the totals and the failures.
            ApplyStoppedError: targets must not be built from here.
            KeyboardInterrupt: an interrupt ended the run early.
            SpecificationError: the pipeline's declarations are wrong.
            UsageError: a selector selects nothing, or options contradict each other.
            StoreError: the store cannot be read or written.

        """
        from marin_build.operations.building.prepare_apply import Terms

        request = request_of(targets, force, rerun_failed, jobs, budgets, overwrite=overwrite)
        terms = Terms(
            keep_going,
            max_failures,
            fail_fast,
            isolation,
            lease,
            trace,
            on_drift=on_drift,
            stream_logs=stream_logs,
        )
        return self._apply(request, terms, on_event or (lambda _event: None))

    def events(self, *targets: str, **options: Unpack[ApplyOptions]) -> Iterator[Event]:
        """Build as `apply` does, in a thread of its own, and yield every event.

        If the caller stops iterating, the run ends in good order. The errors of `apply` are raised
        after the last event.

        Args:
            targets: as for `apply`.
            options: those of `apply`.

        """
        from marin_build.operations.building.event_stream import stream_events
        from marin_build.operations.building.prepare_apply import Terms

        def run(on_event: Callable[[Event], None], on_start: _OnStart) -> None:
            request = request_of(
                targets,
                options.get("force", ()),
                options.get("rerun_failed", True),
                options.get("jobs"),
                options.get("budgets"),
                overwrite=options.get("overwrite", ()),
            )
            terms = Terms(
                options.get("keep_going", False),
                options.get("max_failures"),
                options.get("fail_fast", False),
                options.get("isolation"),
                options.get("lease", True),
                options.get("trace"),
                on_drift=options.get("on_drift"),
                stream_logs=options.get("stream_logs", False),
            )
            self._apply(request, terms, on_event, on_start)

        return stream_events(run)

    def _apply(
        self,
        request: PlanRequest,
        terms: Terms,
        on_event: Callable[[Event], None],
        on_start: _OnStart | None = None,
    ) -> ApplyFinished:
        from marin_build.operations.building.apply_errors import FailureCollector
        from marin_build.operations.building.isolation import with_isolation
        from marin_build.operations.building.prepare_apply import (
            drifted_without_run,
            is_saved_plan,
            prepare_build,
            totals_without_run,
        )
        from marin_build.operations.planning.drifted import refuse_drift

        terms.check()
        failures = FailureCollector()

        def note(event: Event) -> None:
            failures.note(event)
            on_event(event)

        with self._loading():
            options, terms = with_isolation(self._options, terms)
            planned = self._plan_to_apply(options, request, note)
            is_saved = bool(request.targets) and is_saved_plan(request.targets[0])
            saved = request.targets[0] if is_saved else None
            refuse_drift(planned, terms.on_drift, options, saved=saved)
            if terms.trace is not None:
                from marin_build.operations.building.trace import begin_trace

                begin_trace(terms.trace)
            if planned.is_done:
                from marin_build.apply.totals import blocked_before

                drifted, totals = drifted_without_run(planned), totals_without_run(planned)
                known: list[Event] = [*drifted, *blocked_before(planned.decided), totals]
                for event in known:
                    note(event)
            else:
                from marin_build.operations.building.apply import build

                ready = prepare_build(planned, on_event=note)
                argv = ("Project.apply", *request.targets)
                totals = build(ready, terms, note, argv=argv, on_start=on_start)
        failures.raise_unless_built(totals)
        return totals

    def _plan_to_apply(
        self, options: PipelineOptions, request: PlanRequest, on_event: Callable[[Event], None]
    ) -> Planned:
        from marin_build.operations.building.prepare_apply import (
            folder_without_plan,
            is_saved_plan,
            plan_to_build,
        )

        if request.targets and is_saved_plan(request.targets[0]):
            from marin_build.operations.building.replay import plan_saved, refuse_what_is_fixed

            folder, *others = request.targets
            request = replace(request, targets=())
            engine = options.engine if options.engine != self._options.engine else None
            profile = PipelineOptions(profile=options.profile, engine=engine)
            refuse_what_is_fixed(profile, others, request)
            return plan_saved(folder, profile, request, on_event)
        with folder_without_plan(request.targets):
            return plan_to_build(load(options, needed=request.named), request, on_event)
