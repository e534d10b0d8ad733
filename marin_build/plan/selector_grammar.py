"""The grammar of selectors: a text -> parts, or an error that points at a column.

    selector = part ("," part)*        the union of all parts
    part     = term ("&" term)*        the targets that all of its terms select
    term     = ["^"] ["+"] atom ["+"]  `^` leaves out; `+` adds dependencies, dependents
    atom     = name | id | hash | glob | "tag:" TAG | "status:" STATUS | "changed-since:" REV
             | "drifted"

A part that is one term with `^` is taken away from the union, wherever it stands; in a longer part
`^` stands for all targets but these. So `^` binds before `&`, and `&` before `,`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, get_args

from marin_build.errors import UsageError
from marin_build.quick_dataclass import dataclass
from marin_build.text.readable import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator


Kind = Literal["name", "glob", "tag", "status", "changed-since", "drifted"]
StatusWord = Literal["failed", "running", "success", "missing", "drifted"]
STATUS_WORDS: tuple[StatusWord, ...] = get_args(StatusWord)

DRIFTED: StatusWord = "drifted"
"""Selects what `plan` reports as drifted; a step of that name goes before it."""
_KEYS: tuple[Kind, ...] = ("tag", "status", "changed-since")
_TOKEN = re.compile(r"\[[^\]]+\]|[,&]|.", re.DOTALL)  # `,` and `&` inside [...] are a glob's own


@dataclass(frozen=True, slots=True)
class Term:
    """One term of a selector: the text between two of the operators `,` and `&`."""

    kind: Kind
    value: str
    is_excluded: bool = False
    with_upstream: bool = False
    with_downstream: bool = False

    @property
    def asks_for_state(self) -> bool:
        """Whether the store or git decides what it selects: an empty result is no mistake then."""
        return self.kind in ("status", "changed-since", "drifted")

    @property
    def asks_for_drift(self) -> bool:
        """Whether code is compared to find out what it selects."""
        return self.kind == "drifted" or (self.kind == "status" and self.value == DRIFTED)

    @property
    def atom(self) -> str:
        """The term without its operators."""
        has_key = self.kind in _KEYS
        return f"{self.kind}:{self.value}" if has_key else self.value

    def __str__(self) -> str:
        """Return the term as it was written."""
        before = "^" * self.is_excluded + "+" * self.with_upstream
        return before + self.atom + "+" * self.with_downstream


Part = tuple[Term, ...]


def parse_selector(text: str) -> tuple[Part, ...]:
    """Return the parts of a selector.

    Raises:
        UsageError: the text is no selector; the error names the column.

    """
    parts: list[list[Term]] = [[]]
    for separator, term, column in _split(text):
        if separator == ",":
            parts.append([])
        parts[-1].append(_parse_term(text, term, column))
    return tuple(tuple(part) for part in parts)


def _split(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield the separator before each term, the term without spaces around it, and its column."""
    separator, start = "", 0
    for token in _TOKEN.finditer(text):
        if token[0] in {",", "&"}:
            yield separator, *_stripped(text, start, token.start())
            separator, start = token[0], token.end()
    yield separator, *_stripped(text, start, len(text))


def _stripped(text: str, start: int, end: int) -> tuple[str, int]:
    term = text[start:end]
    return term.strip(), start + len(term) - len(term.lstrip())


def _parse_term(text: str, term: str, column: int) -> Term:
    rest = term.removeprefix("^")
    is_excluded = rest != term
    core = rest.removeprefix("+")
    with_upstream = core != rest
    atom = core.removesuffix("+")
    with_downstream = atom != core
    column += len(term) - len(core)
    if not atom:
        where = "at the end" if column >= len(text) else "here"
        raise _unreadable(text, column, f"a name or glob is missing {where}")
    if atom[0] in "^+":
        what = "`^` stands before `+`" if atom[0] == "^" and with_upstream else "one is enough"
        raise _unreadable(text, column, f"`{atom[0]}` is out of place: {what}")
    kind, value = _kind_and_value(text, atom, column)
    return Term(kind, value, is_excluded, with_upstream, with_downstream)


def _kind_and_value(text: str, atom: str, column: int) -> tuple[Kind, str]:
    key, colon, value = atom.partition(":")
    if atom == DRIFTED:
        return "drifted", atom
    if not colon:
        return ("glob" if any(char in atom for char in "*?[") else "name"), atom
    kind = next((known for known in _KEYS if known == key), None)
    if kind is None:
        known = [f"{known}:" for known in _KEYS]
        hint = did_you_mean(key + ":", known) or f"there are {', '.join(known)}"
        raise _unreadable(text, column, f"`{key}:` is unknown", hint)
    column += len(key) + 1
    if not value:
        raise _unreadable(text, column, f"nothing stands after `{key}:`")
    if kind == "status" and value not in STATUS_WORDS:
        hint = did_you_mean(value, STATUS_WORDS) or f"statuses are {', '.join(STATUS_WORDS)}"
        raise _unreadable(text, column, f"`{value}` is no status", hint)
    return kind, value


def _unreadable(text: str, column: int, why: str, hint: str | None = None) -> UsageError:
    if not text.isprintable():
        return UsageError(f"cannot read the selector {text!r}: {why}", hint=hint)
    return UsageError(
        f"cannot read the selector `{text}`: {why}",
        facts=[(f"column {column + 1}", f"{text}\n{' ' * column}^" if text else "it is empty")],
        consequence="nothing was run",
        hint=hint or "marin-build plan --help",
    )
