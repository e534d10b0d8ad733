"""`Engine`: the class that every engine derives from, ours or a plugin's.

A command makes one engine, with checked settings. `check` and `emit` are pure: the same plan,
templates and settings give the same result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.emit.templates import Templates
    from marin_build.errors import MarinBuildError
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument


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

    """

    uses_this_machine: bool
    sees_local_prefix: bool
    applies: bool
    workers: str = "steps"


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

    def check(self, plan: Plan) -> Sequence[MarinBuildError]:  # noqa: ARG002 - some refuse nothing
        """Return an error for each thing in a plan that this engine cannot build."""
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

    def doctor(self) -> list[str]:
        """Return the lines that `marin-build doctor` shows about this engine on this machine.

        It must not change anything, and must end soon even if no server answers.
        """
        return []
