"""Files of the project that steps name but do not declare: changes to them rebuild nothing."""

from __future__ import annotations

import json
import os
import re
import shlex
from typing import TYPE_CHECKING, Any

from marin_build.identity.canonical import Tagged
from marin_build.pipeline.bound_call import BoundCall, is_path, type_hints
from marin_build.pipeline.command import Command
from marin_build.pipeline.declared_at import shown
from marin_build.pipeline.step_spec import StepSpec
from marin_build.quick_dataclass import dataclass
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from marin_build.workspace.workspace import Workspace


_NO_TEXTS = (int, float, bool, type(None))
_KEY = re.compile(r"[.\[]")
_LONGEST = 4096
"""Characters of the longest path."""


@dataclass(frozen=True, slots=True)
class UndeclaredFile:
    """A file or folder of the project that a step names but does not declare.

    Args:
        step: names it.
        what: how it does, to stand after the name of the step.
        way_out: how its author declares it, where that can be said.

    """

    step: StepSpec
    what: str
    way_out: str | None = None


def undeclared_files(steps: Iterable[StepSpec], workspace: Workspace) -> list[str]:
    """Return warnings for files of the project that steps name but do not declare."""
    return list(
        dict.fromkeys(
            f"`{found.step.name}` ({shown(found.step.declared, workspace.project)}) {found.what}: "
            "changes to it will not rebuild the step"
            + (f"; {found.way_out}" if found.way_out is not None else "")
            for found in find_undeclared(steps, workspace)
        )
    )


def find_undeclared(steps: Iterable[StepSpec], workspace: Workspace) -> Iterator[UndeclaredFile]:
    """Yield the files of the project that steps name but do not declare.

    The words of commands name files, and the attributes of steps files and folders.
    """
    named = _NamedFiles(workspace.project)
    for step in steps:
        if step.hash_attrs and type(step) is StepSpec and not step.has_recipe:
            yield from named.by_attributes(step)
        if isinstance(step.fn, Command):
            yield from named.by_words(step, step.fn)


class _NamedFiles:
    """Finds files and folders of a project by the texts that name them.

    The project's folder is listed once: a text whose first part is not in it costs no look at the
    disk, and nearly all attributes are such texts.
    """

    def __init__(self, project: str) -> None:
        self._project = project
        self._top: frozenset[str] | None = None
        self._nothing: set[str] = set()  # texts that name none; the steps of a sweep share most
        self._files: dict[str, str | None] = {}  # the commands of a pipeline share their words

    def by_attributes(self, step: StepSpec) -> Iterator[UndeclaredFile]:
        """Yield each file or folder that an attribute of a step names."""
        nothing = self._nothing
        for key, value in step.hash_attrs.items():
            if type(value) in _NO_TEXTS or (type(value) is str and value in nothing):
                continue
            for where, text, is_said in texts_in(value, key):
                path = self._existing(text)
                declared = (source.location for source in step.inputs.values())
                if path is None or path in declared:
                    continue
                is_folder = os.path.isdir(path)
                if is_folder and not (is_said or "/" in text or _takes_path(step.fn, key)):
                    continue  # `split="train"` means no folder called so
                what = (
                    f"has the attribute `{where}={json.dumps(printable(text))}`, a "
                    f"{'folder' if is_folder else 'file'} that is not a declared input"
                )
                yield UndeclaredFile(step, what, way_out(step, where, written_here(step, path)))

    def by_words(self, step: StepSpec, command: Command) -> Iterator[UndeclaredFile]:
        """Yield each file that a word of a command names."""
        declared = {source.location for source in step.inputs.values()}
        for word in words_of_command(command):
            if word not in self._files:
                self._files[word] = _project_file(word, self._project)
            if (path := self._files[word]) is not None and path not in declared:
                yield UndeclaredFile(step, f"runs `{word}`, which is not a declared input")

    def _existing(self, text: str) -> str | None:
        """Return the absolute path of what a text names in the project; None if that is nothing."""
        path = self._path_of(text) if text not in self._nothing else None
        if path is None or not os.path.exists(path):
            self._nothing.add(text)
            return None
        return path

    def _path_of(self, text: str) -> str | None:
        """Return the absolute path that a text may name; the disk is not asked for most texts."""
        if not text or len(text) > _LONGEST or "\0" in text:
            return None
        if text.startswith("/"):
            if not text.startswith(f"{self._project}/"):
                return None
            text = text[len(self._project) + 1 :]
        if self._top is None:
            self._top = _names_in(self._project)
        if text.removeprefix("./").partition("/")[0] not in self._top:
            return None
        path = os.path.normpath(os.path.join(self._project, text))
        return path if path.startswith(self._project + os.sep) else None


def _names_in(folder: str) -> frozenset[str]:
    """Return what lies right in a folder; dot files are no data."""
    try:
        return frozenset(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return frozenset()


def texts_in(value: Any, where: str) -> Iterator[tuple[str, str, bool]]:
    """Yield the texts in an attribute: where each stands, and whether it is said to be a path."""
    match value:
        case str():
            yield where, value, False
        case Tagged():
            if isinstance(text := value.get("__path__"), str):
                yield where, text, True
            yield from texts_in(value.get("fields"), where)  # of a dataclass or a model
            yield from texts_in(value.get("__set__"), where)
        case dict():
            for key, item in value.items():
                yield from texts_in(item, f"{where}.{key}")
        case tuple():
            for index, item in enumerate(value):
                yield from texts_in(item, f"{where}[{index}]")


def _takes_path(fn: object, parameter: str) -> bool:
    """Return whether the parameter of a step function is annotated as a path."""
    if not isinstance(fn, BoundCall):
        return False
    try:
        return is_path(type_hints(fn.function).get(parameter))
    except Exception:  # noqa: BLE001 - an annotation may be any expression
        return False


def written_here(step: StepSpec, path: str) -> str:
    """Return an absolute path as the file that declares a step would name it."""
    return os.path.relpath(path, os.path.dirname(step.declared[0]))


def way_out(step: StepSpec, where: str, location: str) -> str:
    """Return how the author of a step declares data that an attribute names.

    Args:
        step: the step.
        where: the attribute, and the place in it.
        location: a path or URL.

    """
    source = f"source({json.dumps(printable(location))})"
    name = _KEY.split(where)[0]
    if isinstance(step.fn, BoundCall):
        return f"give `{source}` {'in its place' if name == where else 'as an argument of its own'}"
    return f'declare it with `inputs={{"{name}": {source}}}`'


def _project_file(word: str, project: str) -> str | None:
    """Return the file of the project that a word names; None if it names none."""
    path = os.path.normpath(os.path.join(project, word))
    return path if path.startswith(project + os.sep) and os.path.isfile(path) else None


def words_of_command(command: Command) -> list[str]:
    """Return the words of a command that may name files."""
    if isinstance(command.text, tuple):
        return [word for word in command.text if word]
    try:
        return shlex.split(command.text, comments=True)
    except ValueError:
        return command.text.split()
