"""External inputs: a file, a tree of files or objects of a store, identified by content.

A Source is only declared here. Its digest is read by `digests.py`, at the edge.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from marin_build.errors import SpecificationError, refuse
from marin_build.identity.callables import CountsByName
from marin_build.pipeline.declared_at import declaring_place, shown_here
from marin_build.workspace import current_workspace, is_url


@dataclass(frozen=True, slots=True)
class Source(CountsByName):
    """An external input.

    Identity: `name`, and the digest of the content that `include` and `exclude` select.
    Not identity: `location`, the absolute path or URL where the content is found.
    """

    name: str
    location: str = field(compare=False)
    include: tuple[str, ...] = ("**",)
    exclude: tuple[str, ...] = ()
    declared: str = field(default="", compare=False, repr=False)

    @property
    def code_name(self) -> str:
        """Its logical name: its content is identity of the step that reads it."""
        return f"source {self.name}"

    def __str__(self) -> str:
        return self.location


if TYPE_CHECKING:
    from collections.abc import Sequence

    class DeclaredSource(Source, Any):  # type: ignore[misc]
        """A Source that type checkers accept where a step wants its path."""
else:
    DeclaredSource = Source


def source(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    include: str | Sequence[str] = ("**",),
    exclude: str | Sequence[str] = (),
) -> DeclaredSource:
    """Declare an external input.

    Args:
        path: a file, a folder or a URL; a relative path is taken from the declaring file's folder.
        name: the logical name, part of identity; default: the path inside the project. A path
            outside the project and a URL need one, so that no machine's layout enters identity.
        include: for a folder: patterns of the files that count (`*` within a segment, `**` across).
        exclude: patterns of files that do not count.

    Raises:
        SpecificationError: the path has no name that is the same on every machine.

    """
    file, line = declaring_place()
    text = os.fspath(path)
    declared = shown_here((file, line))
    if is_url(text):
        return DeclaredSource(
            name or text, text.rstrip("/"), _patterns(include), _patterns(exclude), declared
        )
    location = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(file)), text))
    if name is None:
        name = os.path.relpath(location, current_workspace().project).replace(os.sep, "/")
        if name == ".." or name.startswith("../"):
            refuse(
                SpecificationError(
                    f"the source `{location}` is outside the project and has no name",
                    facts=[("declared", declared), ("project", current_workspace().project)],
                    consequence="nothing was run",
                    hint='give it a logical name: source(..., name="corpus")',
                )
            )
    return DeclaredSource(name, location, _patterns(include), _patterns(exclude), declared)


def _patterns(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)
