"""Checks whether configuration, machine, store and each installed engine work here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.engines.registry import (
    engine_names,
    load_engine,
    open_engine,
    registered_engines,
    two_packages,
    with_settings,
)
from marin_build.errors import MarinBuildError, UsageError
from marin_build.operations.checks.checkup import Checkup, Finding
from marin_build.operations.checks.examine_analyses import examine_analyses
from marin_build.operations.checks.examine_machine import examine_machine, examine_prefix
from marin_build.operations.loading.config import Settings, load_settings
from marin_build.operations.loading.find_pipeline import prefix_of
from marin_build.operations.loading.options import PipelineOptions
from marin_build.workspace.workspace import find_project

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from marin_build.engines.registry import Registered


def examine(
    folder: str, profile: str | None = None, only: str | None = None, prefix: str | None = None
) -> list[Checkup]:
    """Look at the configuration, the machine, the store, and every engine that is installed.

    What is broken does not hide the rest. An engine with which nothing can be built from here is a
    failure if `only` or the setting `engine` names it, a warning if it has a table, else a note.
    One object is written below the prefix and deleted
    again, and no pipeline is loaded.

    Args:
        folder: whose configuration counts.
        profile: of the configuration.
        only: the name of the one engine to look at, and nothing of the machine; None: all.
        prefix: as `--prefix` names it; None: the one that is configured.

    Raises:
        UsageError: no engine has that name.

    """
    settings, problem = Settings(), None
    project = find_project(folder)
    try:
        settings = load_settings(project, profile)
    except MarinBuildError as error:
        problem = error
    engines = registered_engines()
    if only is not None:
        engines = [one for one in engines if one.name == only]
        if not engines:
            open_engine(only, {})  # it raises the error about an unknown engine
    used: Collection[str] = ()
    try:
        used = engine_names(settings.engine)
    except MarinBuildError as error:
        problem = problem or error
    checkups = [Checkup("configuration", project, problem=problem)]
    if only is None:
        place = prefix_of(PipelineOptions(prefix=prefix), settings, project)
        checkups += [examine_machine(project), examine_prefix(place, settings.lease_by)]
        checkups += examine_analyses(project, is_on=settings.analysis_cache)
    else:
        used = (only,)
    return checkups + [_examine_engine(one, engines, settings, used) for one in engines]


def try_engine(folder: str, name: str, profile: str | None = None) -> Iterator[str]:
    """Have an engine try, with a tiny job, what all jobs rely on; yield its lines.

    Args:
        folder: whose configuration counts.
        name: of the engine.
        profile: of the configuration.

    Raises:
        MarinBuildError: something does not hold, or the engine has no trial.

    """
    settings = load_settings(find_project(folder), profile)
    yield from open_engine(name, settings.engines).trial()


def _examine_engine(
    one: Registered, engines: Sequence[Registered], settings: Settings, used: Collection[str]
) -> Checkup:
    subject = f"engine {one.name}"
    same = [other for other in engines if other.name == one.name]
    if len(same) > 1:
        return Checkup(subject, one.package, problem=two_packages(same))
    try:
        engine = with_settings(load_engine(one), settings.engines)
    except MarinBuildError as error:
        return Checkup(subject, one.package, problem=error)
    findings: list[Finding] = []
    try:
        findings.extend(Finding(line) for line in engine.doctor())
    except MarinBuildError as error:
        findings += _no_answer(one.name, error, settings, used)
    except Exception as error:  # noqa: BLE001 - an engine's own code may raise anything
        what = f"the engine `{one.name}` failed to report its state"
        reason = f"{type(error).__name__}: {error}"
        problem = UsageError(what, facts=[("reason", reason)])
        return Checkup(subject, one.package, tuple(findings), problem)
    return Checkup(subject, one.package, tuple(findings))


def _no_answer(
    name: str, error: MarinBuildError, settings: Settings, used: Collection[str]
) -> Iterator[Finding]:
    """Yield how bad it is that nothing can be built with an engine: it depends on who needs it."""
    remedy = error.hint or f"start its server, or correct the table [{name}] of the configuration"
    if name in used:
        yield Finding(error.with_reason, remedy, is_broken=True)
    elif name in settings.engines:
        yield Finding(error.with_reason, remedy)
    else:
        yield Finding(error.with_reason, is_note=True)
        yield Finding("nothing to do: no setting names this engine")
