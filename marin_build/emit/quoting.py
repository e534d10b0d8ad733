"""Filters: the only ways a value enters an emitted file.

A test walks the syntax trees of the templates and fails on a value without one of these.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from typing import TYPE_CHECKING

from marin_build.pipeline.command import PathPart, Word
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from marin_build.workspace.workspace import Workspace


_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
# Characters that YAML forbids in a quoted scalar; JSON escapes only some of them.
_NOT_PLAIN = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
# Characters that could end a block of a page or begin markup in it, and those that are no text.
_NOT_INLINE = re.compile("[<>&\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
# What neither make nor ninja reads as anything but a letter, and no shell either.
_RULE_NAME = re.compile(r"(?!\.)[A-Za-z0-9._+@/-]+", re.ASCII)
_SAFE_TAIL = re.compile(r"[A-Za-z0-9_@%+=:,./-]+", re.ASCII)


def sh(value: str) -> str:
    """Return a string as one word of bash."""
    return shlex.quote(value)


def rule_name(value: object) -> str:
    """Return a name for a rule of make and ninja, unchanged; it is one word of a shell, too.

    Neither of them can quote every character, and the ids of targets have none that needs it.

    Raises:
        ValueError: the name has a character that could mean something else there.

    """
    text = str(value)
    if not _RULE_NAME.fullmatch(text):
        raise ValueError(f"`{printable(text)}` cannot name a rule of make or ninja")
    return text


def rule_names(values: Iterable[object]) -> str:
    """Return names for rules of make and ninja, as `rule_name` does, with blanks between them."""
    return " ".join(map(rule_name, values))


def make_sh(values: Iterable[str]) -> str:
    """Return texts as words of a shell in a recipe of make, or a variable of ninja.

    Each is on one line: neither of the two can hold the end of a line in a command.
    """
    return " ".join(sh(printable(value)).replace("$", "$$") for value in values)


def comment(value: object) -> str:
    """Return a value on one line, without anything that could end or change a comment."""
    return printable(str(value))


def yaml(value: object) -> str:
    """Return a value as a YAML flow node that every version of YAML reads back as it is."""
    match value:
        case str():
            text = json.dumps(value, ensure_ascii=False)
            return _NOT_PLAIN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
        case None | bool() | int():
            return json.dumps(value)
        case float():
            text = repr(value)
            return text if "." in text or "e" not in text else text.replace("e", ".0e")
        case dict():
            return "{" + ", ".join(f"{yaml(k)}: {yaml(v)}" for k, v in sorted(value.items())) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(yaml, value)) + "]"
    raise TypeError(f"cannot write {value} as YAML")


def xml(value: object) -> str:
    """Return a value as text or attribute of XML, control characters replaced."""
    return html.escape(_CONTROL.sub("\ufffd", str(value)))


def data_address(media: str, data: bytes) -> str:
    """Return the address of a page that is these bytes themselves.

    Args:
        media: their media type, `image/png`.
        data: the bytes. As the source of an image, a browser runs nothing in them.

    """
    return f"data:{media};base64,{base64.b64encode(data).decode('ascii')}"


def inline_json(value: object) -> str:
    """Return a value as JSON for a `<script type="application/json">` of a page."""

    def refuse(part: object) -> object:
        raise TypeError(f"cannot write {part} as JSON")

    text = json.dumps(
        value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=refuse
    )
    return _NOT_INLINE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def inline_script(text: str) -> str:
    """Return a script of ours for a page, unchanged.

    Raises:
        ValueError: the script would end its own block.

    """
    if "</" in text.lower() or "<!--" in text:
        raise ValueError("a script in a page must not contain `</` or `<!--`")
    return text


def inline_style(text: str) -> str:
    """Return a style sheet of ours for a page, unchanged.

    Raises:
        ValueError: the style sheet would end its own block.

    """
    if "<" in text:
        raise ValueError("a style sheet in a page must not contain `<`")
    return text


def inline_page(text: str) -> str:
    """Return a page of ours for the attribute `srcdoc` of a frame, which then shows just that."""
    return html.escape(text)


def words_filter(workspace: Workspace) -> Callable[[Iterable[Word]], str]:
    """Return the filter that writes words for bash, with `$prefix` and `$project` in paths."""

    def part(value: str | PathPart) -> str:
        if isinstance(value, str):
            return sh(value) if value else ""
        for variable, root in (("prefix", workspace.prefix), ("project", workspace.project)):
            if value.path == root or value.path.startswith(root + "/"):
                tail = value.path[len(root) :]
                if not tail or _SAFE_TAIL.fullmatch(tail):
                    return f'"${variable}{tail}"' if not tail else f'"${variable}"{tail}'
                return f'"${variable}"{sh(tail)}'
        return sh(value.path)

    def words(values: Iterable[Word]) -> str:
        return " ".join("".join(map(part, word)) or "''" for word in values)

    return words


def plain_words(
    words: Iterable[Word], workspace: Workspace, *, with_prefix: bool = True
) -> list[str]:
    """Return words as texts; paths inside the project are relative to it, the working directory.

    Args:
        words: of a command.
        workspace: has the project and the prefix.
        with_prefix: whether the prefix lies in the working directory if it lies in the project.

    """
    root, outputs = workspace.project + "/", workspace.prefix + "/"

    def text(part: str | PathPart) -> str:
        if not isinstance(part, PathPart):
            return part
        is_output = not with_prefix and part.path.startswith(outputs)
        return part.path if is_output else part.path.removeprefix(root)

    return ["".join(map(text, word)) for word in words]
