"""External inputs: a file, a tree of files or objects of a store, identified by content.

A Source is only declared here. Its digest is read by `source_digests.py`, at the edge.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from marin_build.errors import SpecificationError, refuse
from marin_build.identity.callables import CountsByName
from marin_build.pipeline.declared_at import declaring_place, shown_here
from marin_build.workspace.places import checked_place, is_url
from marin_build.workspace.workspace import current_workspace, installed_in, is_cell

_WEB = ("http", "https")
_SAME_SCHEMES = {"gcs": "gs", "s3a": "s3"}


@dataclass(frozen=True, slots=True)
class Source(CountsByName):
    """An external input.

    Identity: `name`, and the digest of the content that `include` and `exclude` select.
    Not identity: `location`, the absolute path or URL where the content is found, and `spelled`,
    a URL that has no other name as its author wrote it, if that is not how it is spelled here.
    """

    name: str
    location: str = field(compare=False)
    include: tuple[str, ...] = ("**",)
    exclude: tuple[str, ...] = ()
    declared: str = field(default="", compare=False, repr=False)
    declared_in: str | None = field(default=None, compare=False, repr=False)
    spelled: str = field(default="", compare=False, repr=False)

    @property
    def name_1(self) -> str:
        """Its name under the first formula, which took a URL without a name as it was spelled."""
        return self.spelled or self.name

    @property
    def code_name(self) -> str:
        """Its logical name: its content is identity of the step that reads it."""
        return f"source {self.name_1}"

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
        name: the logical name, part of identity; default: the path inside the project, which is
            that of the pipeline file, or of the declaring file in a program that loads none; of a
            file inside an installed package, the path among the packages. Any other path and a
            URL need a name, so that no machine's layout enters identity.
        include: for a folder: patterns of the files that count (`*` within a segment, `**` across).
        exclude: patterns of files that do not count.

    Raises:
        SpecificationError: the path has no name that is the same on every machine.
        UsageError: it is nearly a URL.

    """
    file, line = declaring_place()
    written = os.fspath(path)
    text = checked_place(written)
    declared = shown_here((file, line))
    if is_url(text):
        url = one_spelling(text)
        return DeclaredSource(
            name or url,
            url,
            _patterns(include),
            _patterns(exclude),
            declared,
            file,
            spelled="" if name or url == written else written,
        )
    folder = os.getcwd() if is_cell(file) else os.path.dirname(os.path.abspath(file))
    location = os.path.normpath(os.path.join(folder, text))
    if name is None:
        project = current_workspace(file).project
        name = _name_of(location, installed_in(file) or project) or _name_of(location, project)
        if name is None:
            name = location
            refuse(
                SpecificationError(
                    f"the source `{location}` is outside the project and has no name",
                    facts=[("declared", declared), ("project", project)],
                    consequence="nothing was run",
                    hint='give it a logical name: source(..., name="corpus")',
                )
            )
    return DeclaredSource(name, location, _patterns(include), _patterns(exclude), declared, file)


def one_spelling(url: str) -> str:
    """Return the spelling of a URL that all spellings of one place share.

    The slash at the end of a bucket's folder means nothing. Web servers may give it a meaning.
    """
    scheme, _, place = url.partition("://")
    scheme = scheme.lower()
    if scheme in _WEB:
        host, slash, path = place.partition("/")
        return f"{scheme}://{host.lower()}{slash if path else ''}{path}"
    return f"{_SAME_SCHEMES.get(scheme, scheme)}://{place.rstrip('/')}"


def _name_of(location: str, folder: str) -> str | None:
    """Return the path of a location inside a folder; None if it lies elsewhere."""
    name = os.path.relpath(location, folder).replace(os.sep, "/")
    return None if name == ".." or name.startswith("../") else name


def _patterns(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)
