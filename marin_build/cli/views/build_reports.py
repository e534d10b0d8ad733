"""Reports of a run that are written when it ends: `--summary`, `--junit` and `--annotate`."""

from __future__ import annotations

import functools
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.apply import events as report
from marin_build.cli.output_file import write_output_file
from marin_build.cli.terminal import echo
from marin_build.emit.build_report import (
    BuildReport,
    TargetResult,
    github_annotations,
    junit_xml,
    summary_markdown,
)
from marin_build.errors import MarinBuildError, StoreError
from marin_build.plan.drifted_targets import drift_text
from marin_build.plan.outcomes import Blocked, Failed, Interrupted, Reused, Stopped, Succeeded
from marin_build.workspace.places import refuse_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.operations.planning.planned import Planned
    from marin_build.pipeline.targets import Targets
    from marin_build.plan.outcomes import End


def place_in_checkout(place: tuple[str, int], project: str) -> tuple[str, int]:
    """Return a file and line as GitHub names them: from the top of the checkout.

    That may lie above the project.
    """
    file, line = place
    return os.path.relpath(file, os.environ.get("GITHUB_WORKSPACE") or project), line


class BuildReports:
    """Listens to the events of a run, and writes what was asked for when it is over.

    Args:
        planned: the plan of the run.
        summary: the file for Markdown; it may be one that a CI system gives, as
            $GITHUB_STEP_SUMMARY. None: none is written.
        junit: the file for JUnit XML.
        annotate: whether to print annotations for GitHub.

    """

    def __init__(
        self, planned: Planned, summary: str | None, junit: str | None, *, annotate: bool
    ) -> None:
        for file, option in ((summary, "--summary summary.md"), (junit, "--junit build.xml")):
            if file is not None:
                refuse_url(file, "a report", option)
        self._planned = planned
        self._summary, self._junit, self._annotate = summary, junit, annotate
        self._results: dict[str, TargetResult] = {}
        self._finished: report.ApplyFinished | None = None
        self._run = ""
        self._drift = drift_text(planned.drifted)
        self._start = time.monotonic()

    def beside(self, view: Callable[[report.Event], None]) -> Callable[[report.Event], None]:
        """Return a view that shows events as another one does, and takes notes."""

        def show(event: report.Event) -> None:
            self._take(event)
            view(event)

        return show

    def write(self) -> None:
        """Write the reports; what cannot be written is a warning, as the run is over."""
        built = self._report()
        try:
            if self._summary is not None:
                write_output_file(self._summary, summary_markdown(built))
            if self._junit is not None:
                write_output_file(self._junit, junit_xml(built))
        except StoreError as error:
            echo(f"warning: {error.what}", err=True)
        for line in github_annotations(built) if self._annotate else ():
            echo(line, err=True)

    def _take(self, event: report.Event) -> None:
        match event:
            case report.ApplyStarted(run=run):
                self._run = run
            case report.StepEnded(name=name, target=target, outcome=outcome):
                self._results[target] = _result(name, target, outcome)
            case report.ApplyFinished():
                self._finished = event

    def _placed(self, result: TargetResult) -> TargetResult:
        """Return the result of a target with the place where its step is declared."""
        targets = self._planned.loaded.targets
        if result.target not in targets.by_id:
            targets = self._expanded
        index = targets.by_id.get(result.target)
        if index is None:
            return result
        place = targets.all[index].step.declared
        file, line = place_in_checkout(place, targets.workspace.project)
        return replace(result, file=file, line=line)

    @functools.cached_property
    def _expanded(self) -> Targets:
        """The targets with those that became known while the run went on."""
        from marin_build.operations.planning.planned_expansions import expanded_anew

        try:
            return expanded_anew(self._planned.loaded, unbuilt=frozenset()).targets
        except MarinBuildError:  # what can no longer be loaded has no place
            return self._planned.loaded.targets

    def _report(self) -> BuildReport:
        plan, targets = self._planned.plan, self._planned.loaded.targets
        for index in plan.to_build:
            target = targets.all[index]
            if target.id not in self._results:
                self._results[target.id] = TargetResult(target.name, target.id, "not started")
        finished = self._finished
        seconds = finished.seconds if finished is not None else time.monotonic() - self._start
        outputs = [(o.name, o.path) for o in finished.outputs] if finished is not None else []
        reused = self._planned.reused
        results = tuple(map(self._placed, self._results.values()))
        return BuildReport(self._run, results, reused, seconds, tuple(outputs), self._drift)


def _result(name: str, target: str, outcome: End) -> TargetResult:
    match outcome:
        case Succeeded(attempt=attempt, seconds=seconds):
            return TargetResult(name, target, "built", seconds=seconds, attempts=attempt)
        case Reused():
            return TargetResult(name, target, "reused")
        case Failed():
            return TargetResult(
                *(name, target, "failed"),
                seconds=outcome.seconds,
                message=outcome.message,
                log=outcome.log,
                attempts=outcome.attempt,
            )
        case Stopped(message=message):
            return TargetResult(name, target, "stopped", message=message)
        case Interrupted():
            return TargetResult(name, target, "interrupted")
        case Blocked(upstream=upstream, reason=reason):
            return TargetResult(name, target, "blocked", message=reason or f"needs {upstream}")
