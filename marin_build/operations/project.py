"""`Project`: what the command line can do, for notebooks and programs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from marin_build.operations.loading import load
from marin_build.operations.options import PipelineOptions
from marin_build.operations.project_base import make_options, request_of
from marin_build.operations.project_prefix import ProjectPrefix
from marin_build.operations.project_targets import ProjectTargets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType
    from typing import Unpack

    from marin_build.apply.events import ApplyFinished, Event, Warned
    from marin_build.operations.config import OnDrift
    from marin_build.operations.planned import Planned, PlanRequest
    from marin_build.operations.prepare_apply import Terms
    from marin_build.operations.project_base import ApplyOptions, Selectors
    from marin_build.operations.project_plan import ProjectPlan
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.workspace.workspace import CodePolicy


class Project(ProjectTargets, ProjectPrefix):
    """A pipeline with its configuration and its store.

    `Project.open` and `Project.of` make one. Each method does what the command of its name does:
    it loads the pipeline anew, reads the store as it is then, prints nothing, and raises the errors
    of `marin_build.errors`. The last load stays in force: `step.output_path` lies under the prefix
    of the project that was used last.

    """

    @classmethod
    def open(
        cls,
        file: str | os.PathLike[str] | None = None,
        *,
        prefix: str | os.PathLike[str] | None = None,
        profile: str | None = None,
        params: Mapping[str, object] | None = None,
        engine: str | None = None,
        code: CodePolicy | None = None,
    ) -> Project:
        """Return the project of a pipeline file; nothing of it is run yet.

        Args:
            file: a file or a module, and perhaps a function of it, as `-f` names them; None: as
                configured, else `pipeline.py`.
            prefix: where outputs live; None: MARIN_PREFIX, as configured, or the default.
            profile: a profile of the configuration.
            params: the parameters of `pipeline()`.
            engine: where steps with resources are built; None: as configured.
            code: the policy for steps that declare none; None: as configured.

        Raises:
            UsageError: no such file, profile or setting.

        """
        return cls(make_options(file, prefix, profile, params, engine, code))

    @classmethod
    def of(
        cls,
        steps: ModuleType | Callable[..., Any] | StepSpec | Iterable[Any],
        *,
        prefix: str | os.PathLike[str] | None = None,
        profile: str | None = None,
        params: Mapping[str, object] | None = None,
        engine: str | None = None,
        code: CodePolicy | None = None,
    ) -> Project:
        """Return the project of steps that this program declares.

        The project's folder is that of the file that declares the steps; in a notebook it is the
        current folder. Saving a plan and comparing with a revision need a file that another process
        can load: they are refused unless `steps` is a module with a file.

        Args:
            steps: a module, a function that returns steps and is called anew each time, or steps.
            prefix, profile, params, engine, code: as for `open`.

        """
        from marin_build.pipeline.program import Program, declaring_file, module_holding
        from marin_build.workspace.workspace import project_of

        if isinstance(steps, Iterator):  # it ends, and each load asks again
            steps = list(steps)
        folder = project_of(declaring_file(steps), os.environ, os.getcwd())
        program = Program(module_holding(steps), folder)
        options = make_options(None, prefix, profile, params, engine, code)
        return cls(replace(options, program=program))

    def plan(
        self,
        *targets: str,
        force: Selectors = (),
        assume_changed: Selectors = (),
        assume_built: Selectors = (),
        rerun_failed: bool = True,
        jobs: int | None = None,
        budgets: Mapping[str, object] | None = None,
        overwrite: Selectors = (),
    ) -> ProjectPlan:
        """Return what would be built and why; nothing is written.

        Args:
            targets: selectors, as `marin-build plan` takes them; none: what the pipeline requests.
            force: selectors of targets to build again although they are built.
            assume_changed, assume_built: what counts as changed, or as built; such a plan
                cannot be saved.
            rerun_failed: build again what failed before; else it is blocked.
            jobs: estimate for this many targets at once.
            budgets: how much there is of `cpu`, `ram`, `gpu`, `tpu`, or of what steps name.
            overwrite: selectors of targets to build even if that deletes data at their output
                paths that no build left.

        Raises:
            SpecificationError: the pipeline's declarations are wrong.
            UsageError: a selector selects nothing.
            StoreError: the store cannot be read.

        """
        from marin_build.operations.plan import load_to_plan, make_planned
        from marin_build.operations.project_plan import ProjectPlan

        request = request_of(
            targets, force, rerun_failed, jobs, budgets,
            changed=assume_changed, built=assume_built, overwrite=overwrite,
        )  # fmt: skip
        warnings: list[Warned] = []
        with self._loading():
            loaded = load_to_plan(self._options, warnings.append, request.named)
            planned = make_planned(loaded, request, on_event=warnings.append)
            return ProjectPlan(planned, tuple(warnings))

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
        from marin_build.operations.prepare_apply import Terms

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
        from marin_build.operations.event_stream import stream_events
        from marin_build.operations.prepare_apply import Terms

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
        from marin_build.operations.apply_errors import FailureCollector
        from marin_build.operations.drifted import refuse_drift
        from marin_build.operations.prepare_apply import (
            drifted_without_run,
            is_saved_plan,
            prepare_build,
            totals_without_run,
            with_isolation,
        )

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
                from marin_build.operations.trace import begin_trace

                begin_trace(terms.trace)
            if planned.is_done:
                from marin_build.apply.totals import blocked_before

                drifted, totals = drifted_without_run(planned), totals_without_run(planned)
                known: list[Event] = [*drifted, *blocked_before(planned.decided), totals]
                for event in known:
                    note(event)
            else:
                from marin_build.operations.apply import build

                ready = prepare_build(planned, on_event=note)
                argv = ("Project.apply", *request.targets)
                totals = build(ready, terms, note, argv=argv, on_start=on_start)
        failures.raise_unless_built(totals)
        return totals

    def _plan_to_apply(
        self, options: PipelineOptions, request: PlanRequest, on_event: Callable[[Event], None]
    ) -> Planned:
        from marin_build.operations.prepare_apply import (
            folder_without_plan,
            is_saved_plan,
            plan_to_build,
        )

        if request.targets and is_saved_plan(request.targets[0]):
            from marin_build.operations.replay import plan_saved, refuse_what_is_fixed

            folder, *others = request.targets
            request = replace(request, targets=())
            engine = options.engine if options.engine != self._options.engine else None
            profile = PipelineOptions(profile=options.profile, engine=engine)
            refuse_what_is_fixed(profile, others, request)
            return plan_saved(folder, profile, request, on_event)
        with folder_without_plan(request.targets):
            return plan_to_build(load(options, needed=request.named), request, on_event)


if TYPE_CHECKING:
    _OnStart = Callable[[Callable[[], None]], None]
