"""The pages of the documentation, and the code blocks in them.

Three conventions turn a page into a test:

- a `console` block holds `$ command` lines, each followed by what it prints; `...` in the expected
  output stands for anything, within a line or across lines;
- `<!-- file: NAME -->` on the line above a block of any language makes that block a file;
- `<!-- not run: WHY -->` there says why no test can run it. Without that, Python is run after the
  files of its page, TOML is read as a configuration, and JSON is parsed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(CHECKOUT / "docs").rglob("*.md"),
        *(
            CHECKOUT / name
            for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
        ),
    ]
)

_BLOCK = re.compile(
    r"^(?:<!-- file: (?P<file>\S+) -->\n|<!-- not run: (?P<why>[^\n]+) -->\n)?"
    r"```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class File:
    """A file that a page shows, and that its commands need."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command a page shows, with what it prints; `line` is where it stands."""

    line: int
    text: str
    expected: str


@dataclass(frozen=True, slots=True)
class Fragment:
    """A block that is neither a file nor a command; `why` says why it is not run, if it is not."""

    line: int
    language: str
    text: str
    why: str


def page_name(page: Path) -> str:
    """Return a page's path inside the checkout."""
    return page.relative_to(CHECKOUT).as_posix()


def parts_of(page: Path) -> Iterator[File | Command]:
    """Yield the files and commands of a page, in its order."""
    text = page.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(text):
        if block["file"]:
            yield File(block["file"], block["text"])
        elif block["language"] == "console":
            first = text.count("\n", 0, block.start("text")) + 1
            yield from _commands(block["text"], first)


def fragments_of(page: Path) -> Iterator[Fragment]:
    """Yield the blocks of a page that are neither files nor commands, nor plain text."""
    text = page.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(text):
        if not block["file"] and block["language"] not in ("console", "text"):
            line = text.count("\n", 0, block.start("text")) + 1
            yield Fragment(line, block["language"], block["text"], block["why"] or "")


def _commands(block: str, first: int) -> Iterator[Command]:
    assert block.startswith("$ "), f"line {first}: a console block begins with a command"
    found: list[tuple[int, str, list[str]]] = []
    for number, line in enumerate(block.splitlines(), first):
        if line.startswith("$ "):
            found.append((number, line.removeprefix("$ "), []))
        else:
            found[-1][2].append(line.rstrip())
    for number, command, expected in found:
        yield Command(number, command, "\n".join(expected).strip("\n"))


def without_code(page: Path) -> str:
    """Return a page's text without its code, which may look like links and headings."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return re.sub(r"`[^`\n]+`", "``", text)


def matches(expected: str, got: str) -> bool:
    """Return whether `got` is what a page expects; `...` stands for anything."""
    parts = (re.escape(part) for part in expected.split("..."))
    return re.fullmatch(".*".join(parts), got, re.DOTALL) is not None
