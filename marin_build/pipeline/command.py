"""Commands: programs in any language as steps, with named placeholders.

A placeholder `{name}` stands for the output, a dependency's output, an input or a parameter. It is
checked when the command is declared and hashed unresolved. Values never enter shell code: in a
shell command a placeholder becomes a reference to an environment variable of that name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Unpack

from marin_build.errors import refuse
from marin_build.identity.callables import Bound, CountsByName
from marin_build.identity.canonical import FrozenDict
from marin_build.pipeline.command_checks import check_command
from marin_build.pipeline.command_limits import list_path, write_lists
from marin_build.pipeline.declared_at import declaring_place, shown_here
from marin_build.pipeline.placeholders import PLACEHOLDER, names_in, plain_text
from marin_build.pipeline.source import Source
from marin_build.pipeline.step_options import StepOptions, check_options
from marin_build.pipeline.step_spec import DeclaredStep, StepSpec
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


SHELL = ("bash", "-euo", "pipefail", "-c")


@dataclass(frozen=True, slots=True)
class PathPart:
    """A path inside a word: kept apart from text, so that emission can write it relocatable."""

    path: str


Word = tuple[str | PathPart, ...]
"""One word of a command line: its parts, in order, to be joined."""


@dataclass(frozen=True, slots=True)
class Command(Bound, CountsByName):
    """What a command step runs: a list of words, or one string for bash.

    Called with an output path it runs there, as a step function would.
    """

    text: str | tuple[str, ...]
    deps: Mapping[str, StepSpec | tuple[StepSpec, ...]] = field(default_factory=FrozenDict)
    inputs: Mapping[str, Source | tuple[Source, ...]] = field(default_factory=FrozenDict)
    params: Mapping[str, Any] = field(default_factory=FrozenDict)
    declared_in: str | None = field(default=None, compare=False, repr=False)

    @property
    def code_name(self) -> str:
        """Its text, with placeholders unresolved."""
        return f"command {self.text!r}"

    @property
    def template(self) -> FrozenDict:
        """The canonical form that is hashed: `{"shell": ...}` or `{"argv": [...]}`."""
        kind = "shell" if isinstance(self.text, str) else "argv"
        return FrozenDict({kind: self.text})

    def bound(self) -> Mapping[str, object]:
        """Return which step or source each placeholder stands for."""
        return {**self.deps, **self.inputs}

    def words(self, output_path: str) -> tuple[Word, ...]:
        """Return the command line, paths kept apart from text."""
        if isinstance(self.text, tuple):
            return tuple(self._word(word, output_path) for word in self.text)
        from marin_build.pipeline.shell_code import shell_code  # most pipelines have no bash

        names = dict.fromkeys(name for name, literal in names_in(self.text) if not literal)
        variables = tuple((f"{name}=", self._value(name, output_path)) for name in names)
        command: tuple[Word, ...] = tuple((word,) for word in (*SHELL, shell_code(self.text)))
        return (("env",), *variables, *command) if variables else command

    def argv(self, output_path: str) -> list[str]:
        """Return the command line as a program gets it."""
        return [join_word(word) for word in self.words(output_path)]

    def __call__(self, output_path: str) -> None:
        """Run the command in the project's folder; its exit code is the step's."""
        from marin_build.pipeline.command_process import run_argv  # planning runs no command

        write_lists(self._lists(), output_path)
        run_argv(self.argv(output_path), current_workspace(self.declared_in).project)

    def _lists(self) -> dict[str, list[str]]:
        """Return what the placeholders that stand for several things stand for."""
        places = {
            **{name: [dep.output_path for dep in deps] for name, deps in _several(self.deps)},
            **{name: [it.location for it in inputs] for name, inputs in _several(self.inputs)},
        }
        return places | {
            name: [plain_text(value) for value in values] for name, values in _several(self.params)
        }

    def _word(self, template: str, output_path: str) -> Word:
        parts: list[str | PathPart] = []
        end = 0
        for found in PLACEHOLDER.finditer(template):
            parts.append(template[end : found.start()])
            literal, name = found.groups()
            parts.append(f"{{{literal}}}" if literal else self._value(name, output_path))
            end = found.end()
        parts.append(template[end:])
        return tuple(part for part in parts if part != "")

    def _value(self, name: str, output_path: str) -> str | PathPart:
        if name == "output":
            return PathPart(output_path)
        match self.deps.get(name) or self.inputs.get(name):
            case tuple():
                return PathPart(list_path(output_path, name))
            case StepSpec() as dep:
                return PathPart(dep.output_path)
            case Source() as source:
                return PathPart(source.location)
        value = self.params[name]
        if isinstance(value, tuple | list):
            return PathPart(list_path(output_path, name))
        return plain_text(value)


def _several(given: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield the placeholders that stand for several things."""
    return ((name, value) for name, value in given.items() if isinstance(value, tuple | list))


def join_word(word: Word) -> str:
    """Return a word as a program gets it."""
    return "".join(part.path if isinstance(part, PathPart) else part for part in word)


def command(
    command: str | Sequence[str],
    *,
    name: str,
    deps: Mapping[str, StepSpec | Sequence[StepSpec]] | None = None,
    inputs: Mapping[str, Source | Sequence[Source]] | None = None,
    params: Mapping[str, Any] | None = None,
    **options: Unpack[StepOptions],
) -> DeclaredStep:
    """Declare a step that runs a program.

    Args:
        command: a list of words, run as they are; or one string, run by `bash -euo pipefail`.
            `{output}`, `{dep}`, `{input}` and `{param}` are replaced, quoted; `{{x}}` is text.
        name: the step's name.
        deps: placeholder -> step; the placeholder becomes the step's output folder. For a list of
            steps it becomes the path of a file with these folders, one a line.
        inputs: placeholder -> source(...); it becomes the local path or URL; lists as for `deps`.
        params: placeholder -> value; they are identity attributes as well; lists as for `deps`.
        options: the fields of StepSpec that are not given by the above.

    Raises:
        SpecificationError: an unknown placeholder, or one that stands where it cannot be quoted.

    """
    check_options("command", options, ("deps", "inputs", "params"))
    deps, inputs = _tupled(deps or {}), _tupled(inputs or {})
    params = dict(params or {})
    place = declaring_place()
    text = command if isinstance(command, str) else tuple(command)
    value = Command(text, FrozenDict(deps), FrozenDict(inputs), FrozenDict(params), place[0])
    for error in check_command(value, name, shown_here(place)):
        refuse(error)
    return DeclaredStep(
        name=name,
        fn=value,
        deps=tuple(dep for value in deps.values() for dep in _each(value)),
        inputs={
            f"{key}.{i}" if isinstance(value, tuple) else key: source
            for key, value in inputs.items()
            for i, source in enumerate(_each(value))
        },
        hash_attrs=params,
        declared=place,
        **options,
    )


def _tupled(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(it) if isinstance(it, list | tuple) else it for key, it in given.items()}


def _each(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
