"""Several engines for one plan: rules send steps to them, and what no rule takes stays here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from marin_build.engines.base import Capabilities, Engine
from marin_build.engines.local.engine import LocalEngine
from marin_build.engines.routes import text_of
from marin_build.errors import UsageError
from marin_build.plan.decisions import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.emit.templates import Templates
    from marin_build.engines.routes import Route
    from marin_build.errors import MarinBuildError
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument


@dataclass(frozen=True, slots=True)
class Routes:
    """Rules, and the engines that they name.

    Args:
        rules: the first one that takes a step counts.
        engines: by name, with their settings; the one of this machine, which needs no rule, too.

    """

    rules: tuple[Route, ...]
    engines: Mapping[str, Engine[Any]]


def routed_engine(rules: Sequence[Route], engines: Mapping[str, Engine[Any]]) -> Engine[Any]:
    """Return one engine that hands steps to others.

    Args:
        rules: which steps go where.
        engines: the engines that they name, with their settings.

    Raises:
        UsageError: `apply` does not build with one of them: a person would have to submit its
            steps in the middle of a run.

    """
    for engine in engines.values():
        if not engine.capabilities.applies:
            raise UsageError(
                f"the engine `{engine.name}` only writes files, and no rule can send steps to it",
                facts=[("rules", text_of(rules))],
                hint=f"write the whole plan for it: marin-build plan --engine {engine.name} -o DIR",
            )
    all_ = {LocalEngine.name: LocalEngine(LocalEngine.settings_type()), **engines}
    facts = [engine.capabilities for engine in all_.values()]

    class Routed(_RoutedEngine):
        """The engine of these rules; an engine's facts are those of its class."""

        name = text_of(rules)
        capabilities = Capabilities(
            uses_this_machine=True,
            sees_local_prefix=all(each.sees_local_prefix for each in facts),
            applies=True,
            has_queue=any(each.has_queue for each in facts),
            workers=next((each.workers for each in facts if not each.sees_local_prefix), "steps"),
        )
        filters: ClassVar[Mapping[str, Callable[[Any], str]]] = {
            key: each for one in all_.values() for key, each in one.filters.items()
        }

    return Routed(Routes(tuple(rules), all_))


class _RoutedEngine(Engine[Routes]):
    """Hands each step to the engine of the first rule that takes it."""

    @property
    def sends_steps(self) -> bool:
        """Whether steps may be sent elsewhere: that is what rules are for."""
        return True

    @property
    def queues(self) -> Sequence[Engine[Any]]:
        """The engines with a queue, in the order of the rules."""
        return [one for one in self._engines if one.capabilities.has_queue]

    @property
    def template_folders(self) -> Sequence[str]:
        """The folders of the engines that bring templates."""
        return [folder for one in self._engines for folder in one.template_folders]

    @property
    def bundle_limit(self) -> int | None:
        """The smallest limit of those engines whose jobs load the code from a bundle."""
        limits = (one.bundle_limit for one in self._engines)
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def _engines(self) -> list[Engine[Any]]:
        return list(self.settings.engines.values())

    def builder_of(self, step: StepSpec) -> Engine[Any]:
        """Return the engine of the first rule that takes a step; else that of this machine."""
        name = next((r.engine for r in self.settings.rules if r.takes(step)), LocalEngine.name)
        return self.settings.engines[name]

    def image_of(self, step: StepSpec) -> str | None:
        """Return the image that the engine of a step builds it in."""
        return self.builder_of(step).image_of(step)

    def takes(self, step: StepSpec) -> bool:
        """Return whether a step goes to the queue of its engine."""
        builder = self.builder_of(step)
        return builder.capabilities.has_queue and builder.takes(step)

    def check(self, plan: Plan) -> Sequence[MarinBuildError]:
        """Return what the engines refuse of their own steps."""
        return [each for one in self._engines for each in one.check(self._part(plan, one))]

    def warnings(self, plan: Plan) -> Sequence[str]:
        """Return what the engines say of their own steps."""
        return [each for one in self._engines for each in one.warnings(self._part(plan, one))]

    def emit(self, plan: Plan, document: PlanDocument, templates: Templates) -> dict[str, str]:
        """Return the scripts of this machine for all steps, and each engine's files for its own."""
        here, *others = self._engines
        files = here.emit(plan, document.model_copy(update={"bundle": None}), templates)
        for one in others:
            loads = document.bundle if one.bundle_limit is not None else None
            own = document.model_copy(update={"bundle": loads})
            emitted = one.emit(self._part(plan, one), own, templates)
            files |= {path: text for path, text in emitted.items() if path.startswith("steps/")}
        return files

    def words_to_run(self, folder: str) -> list[str]:
        """Return the command line with which `apply` replays the plan."""
        return self._engines[0].words_to_run(folder)

    def _part(self, plan: Plan, engine: Engine[Any]) -> Plan:
        """Return a plan in which only the steps of one engine are to be built."""
        steps, built = plan.targets.all, (Kind.RUN, Kind.WAIT)
        return replace(
            plan,
            decisions=tuple(
                decision
                for decision in plan.decisions
                if decision.kind not in built
                or self.builder_of(steps[decision.index].step) is engine
            ),
        )
