"""One file or folder in the output of a step: `tokens / "train.bin"`."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, Any, Protocol

from marin_build.errors import SpecificationError, refuse
from marin_build.identity.callables import Bound, CountsByName
from marin_build.pipeline.declared_at import declaring_place, shown_here
from marin_build.quick_dataclass import dataclass
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Iterator


class HasOutput(Protocol):
    """A step, as its files see it: a StepSpec, whose module imports this one."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def output_path(self) -> str:
        """Where its output lies, under the workspace in force now."""

    @property
    def code_name(self) -> str:
        """What stands for it in the digest of code that holds it."""

    @property
    def exact_name(self) -> str:
        """The id of its target."""


@dataclass(frozen=True, slots=True)
class OutputFile(CountsByName):
    """A file or folder that a step is to leave in its output.

    As an argument of a step it stands for a dependency on `step`; its identity is that of the step,
    and the path.

    Args:
        step: the StepSpec; this module cannot name that type, which is made of its own.
        path: where it lies below the output of the step, without `.` and `..`.

    """

    step: Any
    path: str

    def __truediv__(self, part: str | os.PathLike[str]) -> DeclaredFile:
        """Return what lies below it, if it is a folder.

        Raises:
            SpecificationError: the path leads elsewhere.

        """
        return file_of(self.step, part, self.path)

    @property
    def location(self) -> str:
        """The absolute path or URL, under the workspace in force now."""
        return f"{self.step.output_path}/{self.path}"

    @property
    def code_name(self) -> str:
        """Its step and path, which stand for it in the digest of code that holds it."""
        return f"{self.step.code_name} / {self.path}"

    @property
    def exact_name(self) -> str:
        """The target that leaves it, and its path."""
        return f"{self.step.exact_name} / {self.path}"

    def __str__(self) -> str:
        return self.location


if TYPE_CHECKING:

    class DeclaredFile(OutputFile, Any):  # type: ignore[misc]
        """An OutputFile that type checkers accept where a step wants its path."""
else:
    DeclaredFile = OutputFile


def file_of(step: HasOutput, part: str | os.PathLike[str], folder: str = "") -> DeclaredFile:
    """Return a file in the output of a step.

    Args:
        step: the step.
        part: a relative path.
        folder: the folder in the output that it is taken from.

    Raises:
        SpecificationError: the path leads out of the output, or names nothing in it.

    """
    if not isinstance(part, str | os.PathLike):
        return NotImplemented  # as for `Path / 3`
    text = os.fspath(part)
    if (problem := _problem_of(text)) is not None:
        refuse(
            SpecificationError(
                f"`{step.name}` / {text!r} is no file of its output: the path {problem}",
                facts=[("declared", shown_here(declaring_place()))],
                consequence="nothing was run",
                hint='give a path below the output: `step / "folder" / "train.txt"`',
            )
        )
        text = "refused"
    return DeclaredFile(step, posixpath.normpath(f"{folder}/{text}" if folder else text))


def _problem_of(path: object) -> str | None:
    if not isinstance(path, str):
        return "is made of bytes"
    if "\0" in path:
        return "has a zero byte in it"
    if is_url(path):
        return "is a URL"
    if path.startswith("/"):
        return "is absolute"
    if ".." in path.split("/"):
        return "has `..` in it"
    if posixpath.normpath(path) == ".":
        return "is empty"
    return None


def files_in(value: object) -> Iterator[OutputFile]:
    """Yield the files in a value that builds a step, or in a container of steps."""
    match value:
        case OutputFile():
            yield value
        case Bound():
            yield from files_in(value.bound())
        case dict():
            for item in value.values():
                yield from files_in(item)
        case list() | tuple():
            for item in value:
                yield from files_in(item)
