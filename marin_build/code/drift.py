"""What differs between the code that built an output and the code of now. Pure."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from marin_build.code.document import CodeDocument, PartDocument

How = Literal["changed", "added", "removed"]


@dataclass(frozen=True, slots=True)
class PartDrift:
    """A function, class or constant that differs.

    Args:
        name: qualified: `tokenizer.batch`.
        kind: `function`, `class` or `constant`.
        how: `changed`, `added` or `removed`.
        plus, minus: lines of normalised source.
        via: names from the step's function to it.
        diff: the lines of a unified difference, without file names.

    """

    name: str
    kind: str
    how: How
    plus: int
    minus: int
    via: tuple[str, ...]
    diff: tuple[str, ...]

    @property
    def text(self) -> str:
        """`tokenizer.batch() +3 -1 (via run -> batch)`."""
        name = self.name.replace("<locals>.", "") + ("()" if self.kind == "function" else "")
        how = "" if self.how == "changed" else f" {self.how}"
        counts = [f"+{self.plus}"] * bool(self.plus) + [f"-{self.minus}"] * bool(self.minus)
        via = f" (via {' -> '.join(self.via)})" if len(self.via) > 1 else ""
        return " ".join([name + how, *counts]) + via


@dataclass(frozen=True, slots=True)
class ValueDrift:
    """A named value that differs; None where there is none."""

    what: Literal["captured", "distribution", "python"]
    name: str
    old: str | None
    new: str | None

    @property
    def text(self) -> str:
        """`numpy 1.26.4 -> 2.0.0`."""
        if self.what == "captured" and any(str(v).startswith("sha256:") for v in _both(self)):
            return f"captured `{self.name}` differs"
        prefix = "captured " if self.what == "captured" else ""
        return f"{prefix}{self.name} {self.old or 'none'} -> {self.new or 'none'}"


@dataclass(frozen=True, slots=True)
class Drift:
    """How the code of now differs from that which built an output.

    `parts` and `captured` are differences of code, and with `rebuild` of identity; the rest is
    the environment it ran in.
    """

    parts: tuple[PartDrift, ...] = ()
    captured: tuple[ValueDrift, ...] = ()
    environment: tuple[ValueDrift, ...] = ()
    unseen: tuple[str, ...] = ()
    """What of the code of now cannot be followed, and so might differ as well."""
    is_unexplained: bool = False
    """The digests differ, and the old source is not there to say how."""

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.parts or self.captured or self.environment or self.is_unexplained)

    @property
    def differences(self) -> tuple[str, ...]:
        """One text for each difference: parts, captured values, environment."""
        return (*self._code, *(item.text for item in self.environment))

    @property
    def text(self) -> str:
        """One line for a plan; empty if nothing differs."""
        if self._code:
            return f"code changed since built: {', '.join(self._code)}"
        if self.is_unexplained:
            return "code changed since built, and its source was not kept"
        if self.environment:
            changes = ", ".join(item.text for item in self.environment)
            return f"environment changed since built: {changes}"
        return ""

    @property
    def _code(self) -> list[str]:
        return [part.text for part in self.parts] + [value.text for value in self.captured]


class Recorded(Protocol):
    """What a record says of the code that built an output."""

    @property
    def code_digest(self) -> str | None:
        """The digest of that code."""

    @property
    def captured(self) -> Mapping[str, str] | None:
        """What its function had captured."""


def drift_of(record: Recorded, document: CodeDocument | None, fn: object) -> Drift:
    """Return how the code of a step differs from that which built an output.

    Args:
        record: the output's.
        document: what `record.code_document` names, or None if it could not be read.
        fn: what builds the step now.

    """
    from marin_build.code.digesting import code_of
    from marin_build.code.document import code_document

    if fn is None or record.code_digest is None:
        return Drift()
    code = code_of(fn)
    changed = code.digest != record.code_digest
    if document is None:
        return Drift(is_unexplained=changed)
    drift = compare(document, code_document(code), (record.captured or {}, code.captured))
    if not changed:  # parts may still have other names: a module was renamed
        return Drift(environment=drift.environment, unseen=drift.unseen)
    return replace(drift, is_unexplained=not (drift.parts or drift.captured))


def compare(
    old: CodeDocument,
    new: CodeDocument,
    captured: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
) -> Drift:
    """Return how `new` differs from `old`.

    Args:
        old: the document of the code that built an output.
        new: that of the code of now.
        captured: captured values, as records keep them: old, new.

    """
    environment = [
        *_values("python", {"Python": old.python}, {"Python": new.python}),
        *_values("distribution", old.distributions, new.distributions),
    ]
    return Drift(
        tuple(_parts(old.parts, new.parts)),
        tuple(_values("captured", *captured)),
        tuple(environment),
        new.unseen,
    )


def _parts(old: Mapping[str, PartDocument], new: Mapping[str, PartDocument]) -> Iterator[PartDrift]:
    """Yield what differs: changed parts first, each group nearest to the step's function first."""
    for name, part in sorted(new.items(), key=lambda item: (len(item[1].via), item[1].via)):
        if name in old and old[name].digest != part.digest:
            yield _part(name, part, "changed", old[name].source, part.source)
    for name, part in new.items():
        if name not in old:
            yield _part(name, part, "added", "", part.source)
    for name, part in old.items():
        if name not in new:
            yield _part(name, part, "removed", part.source, "")


def _part(name: str, part: PartDocument, how: How, before: str, after: str) -> PartDrift:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=3, lineterm="")
    diff = tuple(lines)[2:]
    return PartDrift(name, part.kind, how, _count(diff, "+"), _count(diff, "-"), part.via, diff)


def _count(lines: Iterable[str], sign: str) -> int:
    return sum(line.startswith(sign) for line in lines)


def _values(
    what: Literal["captured", "distribution", "python"],
    old: Mapping[str, str],
    new: Mapping[str, str],
) -> Iterator[ValueDrift]:
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield ValueDrift(what, name, old.get(name), new.get(name))


def _both(drift: ValueDrift) -> tuple[str | None, str | None]:
    return drift.old, drift.new
