"""Commands: programs in any language as steps, with named placeholders.

A placeholder `{name}` stands for the output, a dependency's output, an input or a parameter. It is
checked when the command is declared and hashed unresolved. Values never enter shell code: in a
shell command a placeholder becomes a reference to an environment variable of that name.
"""

from __future__ import annotations

import enum
import os
import re
import sys
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, TextIO, Unpack

from marin_build.errors import SpecificationError, refuse
from marin_build.identity.callables import Bound, CountsByName
from marin_build.identity.canonical import FrozenDict
from marin_build.pipeline.declared_at import declaring_place, shown_here
from marin_build.pipeline.placeholders import PLACEHOLDER, names_in, shell_code
from marin_build.pipeline.step_options import StepOptions, check_options
from marin_build.pipeline.step_spec import DeclaredStep
from marin_build.workspace import current_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from marin_build.pipeline.source import Source
    from marin_build.pipeline.step_spec import StepSpec


_NAME = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)
_STANDARD_OUTPUT = 1
_BLOCK = 1 << 16
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
    deps: Mapping[str, StepSpec] = field(default_factory=FrozenDict)
    inputs: Mapping[str, Source] = field(default_factory=FrozenDict)
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
        names = dict.fromkeys(name for name, literal in names_in(self.text) if not literal)
        variables = tuple((f"{name}=", self._value(name, output_path)) for name in names)
        command: tuple[Word, ...] = tuple((word,) for word in (*SHELL, shell_code(self.text)))
        return (("env",), *variables, *command) if variables else command

    def argv(self, output_path: str) -> list[str]:
        """Return the command line as a program gets it."""
        return [join_word(word) for word in self.words(output_path)]

    def __call__(self, output_path: str) -> None:
        """Run the command in the project's folder; its exit code is the step's."""
        run_argv(self.argv(output_path), current_workspace(self.declared_in).project)

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
        if name in self.deps:
            return PathPart(self.deps[name].output_path)
        if name in self.inputs:
            return PathPart(self.inputs[name].location)
        return plain_text(self.params[name])


def plain_text(value: object) -> str:
    """Return a parameter as a program gets it.

    Raises:
        ValueError: a value that has no plain form.

    """
    match value:
        case enum.Enum():
            return plain_text(value.value)
        case bool():
            return "true" if value else "false"
        case str() | int() | float() | os.PathLike():
            text = str(value)
            if "\0" not in text:
                return text
    kind = type(value).__name__
    raise ValueError(f"{kind} has no canonical form as a word: give text, a number or a path")


def join_word(word: Word) -> str:
    """Return a word as a program gets it."""
    return "".join(part.path if isinstance(part, PathPart) else part for part in word)


stdin_inherited: ContextVar[bool] = ContextVar("stdin_inherited", default=False)
"""Whether a command inherits this process's standard input; not so where steps are threads."""


def run_argv(argv: Sequence[str], folder: str) -> None:
    """Run a command line in a folder; that of this Python comes first on its PATH.

    Raises:
        SystemExit: it failed; the code is the command's (128 + signal, as shells say it).

    """
    import subprocess

    path = os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", os.defpath)
    log = None if _is_own_output(sys.stdout) else sys.stdout
    try:
        with subprocess.Popen(
            argv,
            cwd=folder,
            env={**os.environ, "PATH": path},
            stdin=None if stdin_inherited.get() else subprocess.DEVNULL,
            stdout=subprocess.PIPE if log is not None else None,
            stderr=subprocess.STDOUT if log is not None else None,
        ) as running:
            if log is not None and running.stdout is not None:
                _copy(running.stdout, log)
            code = running.wait()
    except FileNotFoundError as error:
        what = "no such folder" if error.filename == folder else "command not found"
        sys.stderr.write(f"{error.filename or argv[0]}: {what}\n")
        raise SystemExit(127) from None
    except PermissionError:
        sys.stderr.write(f"{argv[0]}: permission denied\n")
        raise SystemExit(126) from None
    if code:
        raise SystemExit(code if code > 0 else 128 - code)


def _is_own_output(stream: TextIO) -> bool:
    """Return whether a stream is this process's standard output; not so in a thread."""
    try:
        stream.flush()
        return stream.fileno() == _STANDARD_OUTPUT
    except (OSError, ValueError):
        return False


def _copy(source: IO[bytes], log: TextIO) -> None:
    """Copy what a command prints into a stream that knows whose log it is."""
    while block := source.read1(_BLOCK):  # type: ignore[attr-defined]
        log.write(block.decode("utf-8", "replace"))


def check_command(command: Command, name: str, place: str) -> list[SpecificationError]:
    """Return what is wrong with a command and its placeholders."""
    facts = [("declared", place)]
    texts = (command.text,) if isinstance(command.text, str) else command.text
    if not texts or not all(isinstance(text, str) and "\0" not in text for text in texts):
        return [SpecificationError(f"`{name}`: a command is made of strings", facts=facts)]
    errors = [*_placeholder_errors(command, texts, name, place)]
    for key, value in command.params.items():
        try:
            plain_text(value)
        except ValueError as error:
            errors.append(_command_error(name, place, f"the parameter `{key}`: {error}"))
    if isinstance(command.text, str):
        try:
            shell_code(command.text)
        except ValueError as error:
            errors.append(_command_error(name, place, str(error)))
    return errors


def _command_error(
    name: str, place: str, what: str, known: str = "", hint: str | None = None
) -> SpecificationError:
    facts = [("declared", place)] + ([("known", known)] if known else [])
    return SpecificationError(
        f"`{name}`: {what}", facts=facts, consequence="nothing was run", hint=hint
    )


def _placeholder_errors(
    command: Command, texts: Sequence[str], name: str, place: str
) -> Iterator[SpecificationError]:
    """Yield what is wrong with the names of placeholders."""
    given = [*command.deps, *command.inputs, *command.params]
    for key in dict.fromkeys(given):
        if not _NAME.fullmatch(key):
            what = f"`{key}` cannot be a placeholder: use lower-case letters, digits and `_`"
            yield _command_error(name, place, what)
        if key == "output" or given.count(key) > 1:
            yield _command_error(name, place, f"the placeholder `{{{key}}}` has two meanings")
    known = sorted({"output", *given})
    used = [found for text in texts for found, literal in names_in(text) if not literal]
    for placeholder in dict.fromkeys(used):
        if placeholder not in known:
            yield _command_error(
                name,
                place,
                f"nothing is called `{{{placeholder}}}`",
                ", ".join(known),
                f"write {{{{{placeholder}}}}} for the text itself",
            )


def command(
    command: str | Sequence[str],
    *,
    name: str,
    deps: Mapping[str, StepSpec] | None = None,
    inputs: Mapping[str, Source] | None = None,
    params: Mapping[str, Any] | None = None,
    **options: Unpack[StepOptions],
) -> DeclaredStep:
    """Declare a step that runs a program.

    Args:
        command: a list of words, run as they are; or one string, run by `bash -euo pipefail`.
            `{output}`, `{dep}`, `{input}` and `{param}` are replaced, quoted; `{{x}}` is text.
        name: the step's name.
        deps: placeholder -> step; the placeholder becomes the step's output folder.
        inputs: placeholder -> source(...); it becomes the local path or URL.
        params: placeholder -> value; they are identity attributes as well.
        options: the fields of StepSpec that are not given by the above.

    Raises:
        SpecificationError: an unknown placeholder, or one that stands where it cannot be quoted.

    """
    check_options("command", options, ("deps", "inputs", "params"))
    deps, inputs, params = dict(deps or {}), dict(inputs or {}), dict(params or {})
    place = declaring_place()
    text = command if isinstance(command, str) else tuple(command)
    value = Command(text, FrozenDict(deps), FrozenDict(inputs), FrozenDict(params), place[0])
    for error in check_command(value, name, shown_here(place)):
        refuse(error)
    return DeclaredStep(
        name=name,
        fn=value,
        deps=tuple(deps.values()),
        inputs=inputs,
        hash_attrs=params,
        declared=place,
        **options,
    )
