"""What can be wrong with a command: its placeholders, their values, its length."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

from marin_build.errors import SpecificationError
from marin_build.identity.callables import CountsByName
from marin_build.pipeline.command_limits import list_name, size_problem
from marin_build.pipeline.output_file import OutputFile, files_in
from marin_build.pipeline.placeholders import names_in, plain_text
from marin_build.pipeline.source import Source
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


_NAME = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)
_SHOWN = 20
_LONGEST_NAME = 512
"""Bytes, at most, of what follows the prefix in an output path."""
_LONGEST_HASH = 12
"""Bytes of the hash in an output path, and of what is around it."""


class Declared(Protocol):
    """What is checked of a command: its text, and what each placeholder stands for."""

    @property
    def text(self) -> str | tuple[str, ...]:
        """Code for bash, or words."""

    @property
    def deps(self) -> Mapping[str, Any]:
        """Steps, files of them, or lists of these."""

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Sources, or lists of them."""

    @property
    def params(self) -> Mapping[str, Any]:
        """Values, or lists of them."""

    @property
    def lists(self) -> Mapping[str, Sequence[Any]]:
        """What of these are lists, by placeholder."""

    @property
    def declared_in(self) -> str | None:
        """The file that declares it."""


def check_command(command: Declared, name: str, place: str) -> list[SpecificationError]:
    """Return what is wrong with a command and its placeholders."""
    facts = [("declared", place)]
    texts = (command.text,) if isinstance(command.text, str) else command.text
    if not texts or not all(isinstance(text, str) and "\0" not in text for text in texts):
        return [SpecificationError(f"`{name}`: a command is made of strings", facts=facts)]
    used = {found for text in texts for found, literal in names_in(text) if not literal}
    errors = [*_placeholder_errors(command, used, name, place)]
    for key, value in command.params.items():
        try:
            for item in value if isinstance(value, tuple | list) else (value,):
                plain_text(item)
        except ValueError as error:
            errors.append(_command_error(name, place, f"the parameter `{key}`: {error}"))
    lists = frozenset(command.lists)
    for key in lists:
        if list_name(key) in used and any(map(_has_line_break, command.lists[key])):
            what = f"`{key}`: what has a line break cannot be a line of `{{{list_name(key)}}}`"
            errors.append(_command_error(name, place, what))
    from marin_build.pipeline.shell_code import check_words, shell_code

    try:
        if isinstance(command.text, str):
            shell_code(command.text, lists)
        else:
            folders = {key for key, dep in command.deps.items() if not [*files_in(dep)]}
            check_words(command.text, {"output", *folders}, lists)
    except ValueError as error:
        errors.append(_command_error(name, place, str(error)))
    if not errors and (problem := _size_problem(command)) is not None:
        what = f"the command line is too long: {problem}"
        hint = (
            'give many by file: with deps={"parts": [...]}, `{parts_list}` is the path of a text '
            "file with one a line"
        )
        errors.append(_command_error(name, place, what, hint=hint))
    return errors


def _has_line_break(item: Any) -> bool:
    match item:
        case OutputFile(path=text) | Source(location=text):
            return "\n" in text
        case CountsByName():
            return False
    return "\n" in str(item)


def _size_problem(command: Declared) -> str | None:
    """Return why a command line is too long; sizes are estimated: no path is asked for."""
    prefix = len(os.fsencode(current_workspace(command.declared_in).prefix))

    def sizes_of(value: Any) -> list[int]:
        return [
            prefix + len(item.code_name) + _LONGEST_HASH
            if isinstance(item, CountsByName) and not isinstance(item, Source)
            else len(str(getattr(item, "location", item)).encode("utf-8", "replace"))
            for item in (value if isinstance(value, tuple | list) else (value,))
        ]

    given = {**command.deps, **command.inputs, **command.params}
    lists = command.lists
    sizes = {key: sum(sizes_of(value)) for key, value in given.items() if key not in lists}
    sizes |= {list_name(key): prefix + _LONGEST_NAME for key in lists}
    sizes["output"] = prefix + _LONGEST_NAME
    words = {key: sizes_of(items) for key, items in lists.items()}
    return size_problem(command.text, sizes, words)


def _command_error(
    name: str, place: str, what: str, known: str = "", hint: str | None = None
) -> SpecificationError:
    facts = [("declared", place)] + ([("known", known)] if known else [])
    return SpecificationError(
        f"`{name}`: {what}", facts=facts, consequence="nothing was run", hint=hint
    )


def _placeholder_errors(
    command: Declared, used: Iterable[str], name: str, place: str
) -> Iterator[SpecificationError]:
    """Yield what is wrong with the names of placeholders."""
    given = [*command.deps, *command.inputs, *command.params]
    meanings = Counter(given)
    for key in meanings:
        if not _NAME.fullmatch(key):
            what = f"`{key}` cannot be a placeholder: use lower-case letters, digits and `_`"
            yield _command_error(name, place, what)
        if key == "output" or meanings[key] > 1:
            yield _command_error(name, place, f"the placeholder `{{{key}}}` has two meanings")
    known = {"output", *given, *map(list_name, command.lists)}
    for placeholder in sorted(used):
        if placeholder not in known:
            yield _command_error(
                name,
                place,
                f"nothing is called `{{{placeholder}}}`",
                _some(sorted(known)),
                f"write {{{{{placeholder}}}}} for the text itself",
            )


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
