"""`Engine`: the class that every engine derives from, ours or a plugin's.

A command makes one engine, with checked settings. `check` and `emit` are pure: the same plan,
templates and settings give the same result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from marin_build.errors import UsageError
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from marin_build.emit.templates import Templates
    from marin_build.engines.jobs import JobQueue
    from marin_build.errors import MarinBuildError
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.pipeline.targets import Target
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument
    from marin_build.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class NoSettings:
    """The settings of an engine that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The facts about an engine that planning needs.

    Args:
        uses_this_machine: whether it runs steps on this machine: then its cores and devices limit a
            plan, and steps find the programs and packages that are installed here.
        sees_local_prefix: whether its steps can read and write a prefix on this machine's disk.
        applies: whether `marin-build apply` builds with it. If not, the engine only writes files,
            and a person submits them.
        workers: the plural name that errors give to what runs its steps: `pods`.
        has_queue: it takes jobs, which are followed: `job_of` and `open_queue` say how. Steps that
            ask for nothing stay on this machine.
        detaches: its queue starts a job after others have ended (`JobRequest.after`), and takes the
            steps that ask for nothing, too: `apply --detach` hands it a whole plan.
        gangs: it starts `run-step` on several hosts at once for a step that needs them, and tells
            each which rank it is (run_step/launch.py); its `check` refuses no such step.
        only_device: the accelerator that a step must ask for to run there, `tpu`; empty: it runs
            steps with any, or none.

    """

    uses_this_machine: bool
    sees_local_prefix: bool
    applies: bool
    workers: str = "steps"
    has_queue: bool = False
    detaches: bool = False
    gangs: bool = False
    only_device: str = ""


S = TypeVar("S")


class Engine(ABC, Generic[S]):
    """A place where actions run: this machine, a cluster.

    Attributes:
        name: what `--engine` and the engine's table in the configuration call it.
        settings_type: a frozen dataclass, whose fields are the keys of that table
            (engines/settings.py says which types they may have).
        capabilities: the facts about it that planning needs.
        templates: the absolute path of a folder with templates, `<name>/step.sh.j2` and so on; None
            if they are in our own folder. The user's and our own templates win over these.
        filters: further filters for its templates, by name, beside those of emit/quoting.py.

    """

    name: ClassVar[str]
    settings_type: ClassVar[type[Any]] = NoSettings
    capabilities: ClassVar[Capabilities]
    templates: ClassVar[str | None] = None
    filters: ClassVar[Mapping[str, Callable[[Any], str]]] = {}

    def __init__(self, settings: S) -> None:
        self.settings = settings

    @property
    def image(self) -> str | None:
        """The container image of steps that name none; None if the engine uses no image."""
        return None

    def image_of(self, step: StepSpec) -> str | None:
        """Return the image that a step is built in, where it is built in one."""
        own = step.resources.image if step.resources is not None else None
        return own or self.image

    def check(self, plan: Plan) -> Sequence[MarinBuildError]:  # noqa: ARG002 - some refuse nothing
        """Return an error for each thing in a plan that this engine cannot build."""
        return ()

    def warnings(self, plan: Plan) -> Sequence[str]:  # noqa: ARG002 - most have none
        """Return a line for each thing in a plan that it builds, and that may surprise later."""
        return ()

    @abstractmethod
    def emit(self, plan: Plan, document: PlanDocument, templates: Templates) -> dict[str, str]:
        """Return path -> text of the engine's files in a plan directory.

        Args:
            plan: a plan without errors from `check`.
            document: its plan.json, still without the digests of these files.
            templates: those of the user, of marin-build and of this engine.

        Raises:
            SpecificationError: a template is missing or malformed.

        """

    @abstractmethod
    def words_to_run(self, folder: str) -> list[str]:
        """Return the command line that runs, or submits, the plan written to a folder."""

    @property
    def template_folders(self) -> Sequence[str]:
        """The folders of templates that the engine brings."""
        return (self.templates,) if self.templates is not None else ()

    def builder_of(self, step: StepSpec) -> Engine[Any]:  # noqa: ARG002 - rules ask for it
        """Return the engine that builds a step: this one, unless rules send steps to several."""
        return self

    def is_here(self, step: StepSpec) -> bool:
        """Return whether a step takes cores and devices of this machine."""
        facts = self.builder_of(step).capabilities
        return facts.uses_this_machine or self.finds_our_packages(step)

    def finds_our_packages(self, step: StepSpec) -> bool:
        """Return whether a step is built with the programs and packages that are installed here."""
        builder = self.builder_of(step)
        facts = builder.capabilities
        return not builder.takes(step) if facts.has_queue else facts.uses_this_machine

    @property
    def sends_steps(self) -> bool:
        """Whether steps may be sent elsewhere; else `place_of` is empty for each of them."""
        return self.capabilities.has_queue or not self.capabilities.uses_this_machine

    def place_of(self, step: StepSpec) -> str:
        """Return the name of the engine that a step is sent to; empty if it is built here."""
        return "" if self.finds_our_packages(step) else self.builder_of(step).name

    def spec_of(self, workspace: Workspace, target: Target) -> str:
        """Return the path of a target's job in a plan directory; empty: no job builds it."""
        builder = self.builder_of(target.step)
        if not (builder.capabilities.has_queue and builder.takes(target.step)):
            return ""
        return builder.job_of(workspace, target.id)[1]

    @property
    def queues(self) -> Sequence[Engine[Any]]:
        """The engines whose queues build steps of a plan."""
        return (self,) if self.capabilities.has_queue else ()

    @property
    def bundle_limit(self) -> int | None:
        """The bytes that a bundle of the project's code may have; None: jobs load no bundle.

        Where they do, `run_step_words` names the bundle, which is under the prefix by then.
        """
        return None

    @property
    def max_jobs(self) -> int:
        """How many jobs may wait or run at once, of an engine with a queue."""
        return 1

    def takes(self, step: StepSpec) -> bool:
        """Return whether a step goes to the engine's queue; else it is built on this machine.

        What asks for nothing stays here, unless the engine says otherwise.
        """
        return step.resources is not None

    def job_of(self, workspace: Workspace, target: str) -> tuple[str, str]:
        """Return the name of a target's job, and the path of its file in a plan directory."""
        raise NotImplementedError  # of an engine with a queue

    def open_queue(self, workspace: Workspace) -> JobQueue:
        """Return what submits and follows jobs; nothing is asked of the engine yet."""
        raise NotImplementedError  # of an engine with a queue

    def doctor(self) -> Iterable[str]:
        """Yield the lines that `marin-build doctor` shows about this engine on this machine.

        It must not change anything, and must end soon even if no server answers.

        Raises:
            MarinBuildError: nothing can be built with it from here. The lines that were yielded
                before are shown, too, and the hint is the remedy.

        """
        return ()

    def trial(self) -> Iterator[str]:
        """Try what jobs rely on with a tiny one; yield a line for each thing as it is seen to hold.

        Nothing that it creates stays.

        Raises:
            MarinBuildError: something does not hold, or the engine has no trial.

        """
        raise UsageError(
            f"the engine `{self.name}` has no trial",
            consequence="nothing was run",
            hint="leave out --deep",
        )


def several_hosts(name: str, hosts: int, engine: str) -> UsageError:
    """Return the error about a step that asks an engine for a gang which it cannot start."""
    return UsageError(
        f"`{name}` needs {hosts} hosts at once, and the engine `{engine}` starts no gangs yet",
        hint="give it one host, or an engine that starts gangs: --engine slurm",
    )
