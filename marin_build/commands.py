"""Commands: programs in any language as steps, with named placeholders.

A placeholder `{name}` stands for the output, a dependency's output, an input or a parameter. It is
checked when the command is declared and hashed unresolved. Values never enter shell code: in a
shell command a placeholder becomes a reference to an environment variable of that name.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from marin_build.canonical import FrozenDict
from marin_build.errors import SpecificationError
from marin_build.identity import Bound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from marin_build.sources import Source
    from marin_build.step_spec import StepSpec

_PLACEHOLDER = re.compile(r"\{\{([a-z_][a-z0-9_]*)\}\}|(?<!\$)\{([a-z_][a-z0-9_]*)\}")
_HEREDOC = re.compile(r"(?<!<)<<(?!<)")
SHELL = ("bash", "-euo", "pipefail", "-c")


@dataclass(frozen=True, slots=True)
class PathPart:
    """A path inside a word: kept apart from text, so that emission can write it relocatable."""

    path: str


Word = tuple[str | PathPart, ...]
"""One word of a command line: its parts, in order, to be joined."""


@dataclass(frozen=True, slots=True)
class Command(Bound):
    """What a command step runs: a list of words, or one string for bash.

    Called with an output path it runs there, as a step function would.
    """

    text: str | tuple[str, ...]
    deps: Mapping[str, StepSpec] = field(default_factory=FrozenDict)
    inputs: Mapping[str, Source] = field(default_factory=FrozenDict)
    params: Mapping[str, Any] = field(default_factory=FrozenDict)

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
        names = dict.fromkeys(name for name, literal in _names(self.text) if not literal)
        variables = tuple((f"{name}=", self._value(name, output_path)) for name in names)
        command: tuple[Word, ...] = tuple((word,) for word in (*SHELL, shell_code(self.text)))
        return (("env",), *variables, *command) if variables else command

    def argv(self, output_path: str) -> list[str]:
        """Return the command line as a program gets it."""
        return [join_word(word) for word in self.words(output_path)]

    def __call__(self, output_path: str) -> None:
        """Run the command; its exit code is the step's."""
        run_argv(self.argv(output_path))

    def _word(self, template: str, output_path: str) -> Word:
        parts: list[str | PathPart] = []
        end = 0
        for found in _PLACEHOLDER.finditer(template):
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
        value = self.params[name]
        return value if isinstance(value, str) else repr(value)


def join_word(word: Word) -> str:
    """Return a word as a program gets it."""
    return "".join(part.path if isinstance(part, PathPart) else part for part in word)


def run_argv(argv: Sequence[str]) -> None:
    """Run a command line; the folder of this Python comes first on its PATH.

    Raises:
        SystemExit: it failed; the code is the command's (128 + signal, as shells say it).

    """
    import subprocess

    folder = os.path.dirname(sys.executable)
    environ = {**os.environ, "PATH": folder + os.pathsep + os.environ.get("PATH", os.defpath)}
    try:
        code = subprocess.run(argv, env=environ, check=False).returncode
    except FileNotFoundError:
        sys.stderr.write(f"{argv[0]}: command not found\n")
        raise SystemExit(127) from None
    except PermissionError:
        sys.stderr.write(f"{argv[0]}: permission denied\n")
        raise SystemExit(126) from None
    if code:
        raise SystemExit(code if code > 0 else 128 - code)


def check_command(command: Command, name: str, place: str) -> list[SpecificationError]:
    """Return what is wrong with the placeholders of a command."""
    known = {"output", *command.deps, *command.inputs, *command.params}
    texts = (command.text,) if isinstance(command.text, str) else command.text
    facts = [("declared", place)]
    errors = []
    for text in texts:
        for placeholder, literal in _names(text):
            if not literal and placeholder not in known:
                errors.append(
                    SpecificationError(
                        f"`{name}`: nothing is called `{{{placeholder}}}`",
                        facts=[*facts, ("known", ", ".join(sorted(known)))],
                        consequence="nothing was run",
                        hint=f"write {{{{{placeholder}}}}} for the text itself",
                    )
                )
    if not texts or not all(isinstance(text, str) and "\0" not in text for text in texts):
        errors.append(SpecificationError(f"`{name}`: a command is made of strings", facts=facts))
    elif isinstance(command.text, str):
        try:
            shell_code(command.text)
        except ValueError as error:
            errors.append(
                SpecificationError(f"`{name}`: {error}", facts=facts, consequence="nothing was run")
            )
    return errors


def _names(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each placeholder's name and whether its braces are doubled (text, not a place)."""
    for literal, name in _PLACEHOLDER.findall(text):
        yield (literal or name), bool(literal)


def shell_code(text: str) -> str:
    """Return bash code in which each placeholder is a quoted variable.

    Raises:
        ValueError: a placeholder stands where no quoting is right.

    """
    pieces: list[str] = []
    quote, end = "", 0
    for found in _PLACEHOLDER.finditer(text):
        literal, name = found.groups()
        before = text[end : found.start()]
        quote = _quote_after(before, quote)
        pieces.append(before)
        if literal:
            pieces.append(f"{{{literal}}}")
        elif quote == "'":
            raise ValueError(
                f"the placeholder {{{name}}} stands inside single quotes; "
                "leave them out, it is quoted for you"
            )
        elif _HEREDOC.search(text[: found.start()]):
            raise ValueError(
                f"the placeholder {{{name}}} stands after `<<`; "
                "put the text into a script and declare it as an input"
            )
        else:
            pieces.append(f"${{{name}}}" if quote == '"' else f'"${{{name}}}"')
        end = found.end()
    pieces.append(text[end:])
    return "".join(pieces)


def _quote_after(text: str, quote: str) -> str:
    """Return which quote is open after `text`, given the one open before it."""
    i = 0
    while i < len(text):
        char = text[i]
        if char == "\\" and quote != "'":
            i += 1
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif not quote and char == "#" and (i == 0 or text[i - 1].isspace()):
            i = text.find("\n", i)
            if i < 0:
                break
        i += 1
    return quote
