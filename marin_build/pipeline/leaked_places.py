"""Places of outputs that a step names in an attribute or in its command: they are refused.

Its identity would follow the prefix, and change where the outputs are moved.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from marin_build.errors import SpecificationError
from marin_build.identity.canonical import canonical_text, quoted
from marin_build.pipeline.command import Command
from marin_build.pipeline.declared_at import shown
from marin_build.quick_dataclass import dataclass
from marin_build.workspace.workspace import absolute_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class KnownPlace:
    """A place of outputs, and how JSON writes it."""

    path: str
    escaped: str


def leaked_place(step: StepSpec, payload: str, places: Iterable[KnownPlace]) -> str | None:
    """Return the place of outputs that an attribute or the command contains, or None."""
    for place in places:
        if place.escaped in payload:  # perhaps only in the name of a dependency
            if step.may_name_places:
                return None
            template = step.fn.text if isinstance(step.fn, Command) else None
            own = canonical_text([step.hash_attrs, template])
            # Another place may begin like this one.
            if re.search(re.escape(place.escaped) + r"(?![\w.-])", own, re.ASCII):
                return place.path
    return None


def known_places(workspace: Workspace, deps: Iterable[StepSpec]) -> list[KnownPlace]:
    """Return the places of outputs that a step with these dependencies may know."""
    prefixes, paths = [workspace.prefix], []
    for dep in deps:
        if dep.output_path_prefix:
            prefixes.append(absolute_prefix(dep.output_path_prefix, workspace.project))
        if dep.override_output_path:
            paths.append(dep.output_path_in(workspace.prefix))
        if workspace.adopted and dep.target_id in workspace.adopted:
            paths.append(workspace.adopted[dep.target_id])
    prefixes = [prefix for prefix in prefixes if prefix.count("/") > 1]  # `/out` is a word, too
    return [KnownPlace(path, quoted(path)[1:-1]) for path in prefixes + paths]


def leak_error(step: StepSpec, place: str, workspace: Workspace) -> SpecificationError:
    """Return the error for a step that names a place of outputs."""
    return SpecificationError(
        f"`{step.name}` names a place of outputs in an attribute or argument: `{place}`",
        facts=[("declared", shown(step.declared, workspace.project))],
        consequence="nothing was run",
        hint="give the step itself as an argument, or use a placeholder",
    )
