"""Commands: programs in any language as steps, with named placeholders.

A placeholder `{name}` stands for the output, a dependency's output, an input or a parameter. It is
checked when the command is declared and hashed unresolved. Values never enter shell code: in a
shell command a placeholder becomes a reference to an environment variable of that name.

A placeholder of several things becomes a word for each; in a shell command it becomes a reference
to an array of that name. Where these are too many for a command line, `{name_list}` is the path of
a file that names them, one a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Unpack

from marin_build.errors import SpecificationError, refuse
from marin_build.identity.callables import Bound, CountsByName
from marin_build.identity.canonical import FrozenDict
from marin_build.pipeline import runtime_calls
from marin_build.pipeline.command_checks import check_command
from marin_build.pipeline.command_limits import list_name, list_path, write_lists
from marin_build.pipeline.declared_at import declaring_place, shown_here
from marin_build.pipeline.output_file import OutputFile, files_in
from marin_build.pipeline.placeholders import PLACEHOLDER, names_in, plain_text
from marin_build.pipeline.source import Source
from marin_build.pipeline.step_checks import as_step
from marin_build.pipeline.step_options import StepOptions, check_options
from marin_build.pipeline.step_spec import DeclaredStep, StepSpec
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from collections.abc import Sequence


SHELL = ("bash", "-euo", "pipefail", "-c")


@dataclass(frozen=True, slots=True)
class PathPart:
    """A path inside a word: kept apart from text, so that emission can write it relocatable."""

    path: str


Needed = StepSpec | OutputFile
"""What a placeholder of `deps` stands for."""

Word = tuple[str | PathPart, ...]
"""One word of a command line: its parts, in order, to be joined."""


@dataclass(frozen=True, slots=True)
class Command(Bound, CountsByName):
    """What a command step runs: a list of words, or one string for bash.

    Called with an output path it runs there, as a step function would.
    """

    text: str | tuple[str, ...]
    deps: Mapping[str, Needed | tuple[Needed, ...]] = field(default_factory=FrozenDict)
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
        """Return which step, file of a step or source each placeholder stands for."""
        return {**self.deps, **self.inputs}

    @property
    def lists(self) -> dict[str, Sequence[Any]]:
        """The placeholders that stand for several things, and these things."""
        given = {**self.deps, **self.inputs, **self.params}
        return {name: value for name, value in given.items() if isinstance(value, tuple | list)}

    def words(self, output_path: str) -> tuple[Word, ...]:
        """Return the command line, paths kept apart from text."""
        lists = self.lists
        if isinstance(self.text, tuple):
            places = {f"{{{name}}}": items for name, items in lists.items()}
            return tuple(
                word
                for template in self.text
                for word in (
                    [(_part(item),) for item in places[template]]
                    if template in places
                    else [self._word(template, output_path)]
                )
            )
        from marin_build.pipeline.shell_code import shell_code  # most pipelines have no bash

        names = dict.fromkeys(name for name, literal in names_in(self.text) if not literal)
        variables = [
            (f"{name}=", self._value(name, output_path)) for name in names if name not in lists
        ]
        arrays = {name: lists[name] for name in names if name in lists}
        items = [(_part(item),) for values in arrays.values() for item in values]
        code = _arrays_code(arrays) + shell_code(self.text, frozenset(lists))
        command: list[Word] = [(word,) for word in (*SHELL, code)]
        if items:
            command += [(SHELL[0],), *items]  # the name that bash has, and its arguments
        return (("env",), *variables, *command) if variables else tuple(command)

    def argv(self, output_path: str) -> list[str]:
        """Return the command line as a program gets it."""
        return [join_word(word) for word in self.words(output_path)]

    def __call__(self, output_path: str) -> None:
        """Run the command in the project's folder; its exit code is the step's."""
        from marin_build.pipeline.command_process import run_argv  # planning runs no command

        for file in files_in(self):
            runtime_calls.check_output_file(file)
        write_lists(self._lists(), output_path)
        run_argv(self.argv(output_path), current_workspace(self.declared_in).project)

    def _lists(self) -> dict[str, list[str]]:
        """Return the lines of the files that the command names: `{name_list}` for each list."""
        texts = (self.text,) if isinstance(self.text, str) else self.text
        used = {name for text in texts for name, literal in names_in(text) if not literal}
        used -= {*self.deps, *self.inputs, *self.params}
        return {
            name: [join_word((_part(item),)) for item in items]
            for name, items in self.lists.items()
            if list_name(name) in used
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
        for given in (self.deps, self.inputs, self.params):
            if name in given:
                return _part(given[name])
        listed = next(each for each in self.lists if list_name(each) == name)
        return PathPart(list_path(output_path, listed))


def _part(value: object) -> str | PathPart:
    """Return what a placeholder of one thing becomes."""
    match value:
        case StepSpec():
            return PathPart(value.output_path)
        case OutputFile() | Source():
            return PathPart(value.location)
    return plain_text(value)


def _arrays_code(arrays: Mapping[str, Sequence[object]]) -> str:
    """Return bash code that puts the arguments of bash into arrays, and takes them away."""
    code, first = "", 1
    for name, items in arrays.items():
        code += f'{name}=("${{@:{first}:{len(items)}}}"); ' if items else f"{name}=(); "
        first += len(items)
    return f"{code}set --; " if first > 1 else code


def join_word(word: Word) -> str:
    """Return a word as a program gets it."""
    return "".join(part.path if isinstance(part, PathPart) else part for part in word)


def command(
    command: str | Sequence[str],
    *,
    name: str,
    deps: Mapping[str, Needed | Sequence[Needed]] | None = None,
    inputs: Mapping[str, Source | Sequence[Source]] | None = None,
    params: Mapping[str, Any] | None = None,
    **options: Unpack[StepOptions],
) -> DeclaredStep:
    """Declare a step that runs a program.

    Args:
        command: a list of words, run as they are; or one string, run by `bash -euo pipefail`.
            `{output}`, `{dep}`, `{input}` and `{param}` are replaced, quoted; `{{x}}` is text.
        name: the step's name.
        deps: placeholder -> step; the placeholder becomes the step's output folder. For a file of
            it, `step / "a.txt"`, it becomes the path of that. For a list it becomes a word for
            each, and `{name_list}` becomes the path of a text file with these paths, one a line.
        inputs: placeholder -> source(...); it becomes the local path or URL; lists as for `deps`.
        params: placeholder -> value; they are identity attributes as well; lists as for `deps`.
        options: the fields of StepSpec that are not given by the above.

    Raises:
        SpecificationError: an unknown placeholder, or one that stands where it cannot be quoted.

    """
    check_options("command", options, ("deps", "inputs", "params"))
    place = declaring_place()
    for given, what in (("deps", deps), ("inputs", inputs), ("params", params)):
        if what is not None and not isinstance(what, Mapping):
            raise _no_mapping(name, given, place)
    deps, inputs = _tupled(deps or {}), _tupled(inputs or {})
    params = dict(params or {})
    for key in list(params):
        if (better := _belongs_to(params[key])) is not None:
            refuse(_is_no_value(name, key, better, place))
            # As if it had been given there, so that this is all that is said of it.
            (deps if better == "deps" else inputs).update(_tupled({key: params.pop(key)}))
    text = command if isinstance(command, str) else tuple(command)
    value = Command(text, FrozenDict(deps), FrozenDict(inputs), FrozenDict(params), place[0])
    for error in check_command(value, name, shown_here(place)):
        refuse(error)
    return DeclaredStep(
        name=name,
        fn=value,
        deps=tuple(
            dep.step if isinstance(dep, OutputFile) else dep
            for value in deps.values()
            for dep in _each(value)
        ),
        inputs={
            f"{key}.{i}" if isinstance(value, tuple) else key: source
            for key, value in inputs.items()
            for i, source in enumerate(_each(value))
        },
        hash_attrs=params,
        declared=place,
        **options,
    )


def _belongs_to(value: object) -> str | None:
    """Return the argument in which a parameter should have been given; None if it is a value."""
    for one in value if isinstance(value, list | tuple) else (value,):
        if isinstance(one, Source):
            return "inputs"
        if isinstance(as_step(one), StepSpec | OutputFile):
            return "deps"
    return None


def _is_no_value(name: str, key: str, given: str, place: tuple[str, int]) -> SpecificationError:
    what, example = ("a step", "...") if given == "deps" else ("a source", 'source("...")')
    return SpecificationError(
        f"the parameter `{key}` of the command `{name}` is {what}, not a value",
        facts=[("declared", shown_here(place))],
        consequence="nothing was run",
        hint=f'give it in `{given}`: {given}={{"{key}": {example}}}',
    )


def _no_mapping(name: str, given: str, place: tuple[str, int]) -> SpecificationError:
    one = given.removesuffix("s")
    return SpecificationError(
        f"`{given}` of the command `{name}` is no dict",
        facts=[("declared", shown_here(place))],
        consequence="nothing was run",
        hint=f'name what a placeholder stands for: {given}={{"{one}": ...}} for `{{{one}}}`',
    )


def _tupled(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given, with tuples for lists, and steps for what stands for one."""
    return {
        key: tuple(map(as_step, it)) if isinstance(it, list | tuple) else as_step(it)
        for key, it in given.items()
    }


def _each(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
