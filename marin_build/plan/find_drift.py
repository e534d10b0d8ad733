"""How the code and the environment that built an output differ from those of today."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from marin_build.plan.drift import Drift, How, PartDrift, ValueDrift, What

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from marin_build.identity.code.document import CodeDocument, PartDocument
    from marin_build.protocol.provenance import Environment


class Recorded(Protocol):
    """The part of a record that describes the code that built an output."""

    @property
    def code_digest(self) -> str | None:
        """The digest of that code: 64 hex digits; None if the record has none."""

    @property
    def captured(self) -> Mapping[str, str] | None:
        """Digests of the values that its function had captured, by name; None if unknown."""


def drift_of(record: Recorded, document: CodeDocument | None, fn: object) -> Drift:
    """Return how the code of a step differs from the code that built an output.

    Args:
        record: the record of the output.
        document: the code document that the record names; None if it could not be read.
        fn: the step's function today.

    """
    from marin_build.identity.code.digest import code_of
    from marin_build.identity.code.document import code_document

    if fn is None or record.code_digest is None:
        return Drift()
    code = code_of(fn)
    now = code_document(code)
    if code.digest == record.code_digest:  # parts may still have other names: a module was renamed
        return Drift(unseen=now.unseen)
    if document is None:
        return Drift(is_unexplained=True, unseen=now.unseen)
    drift = compare(document, now, (record.captured or {}, code.captured))
    return replace(drift, is_unexplained=not drift.is_of_code)


def compare(
    old: CodeDocument,
    new: CodeDocument,
    captured: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
) -> Drift:
    """Return how `new` differs from `old`.

    Args:
        old: the document of the code that built an output.
        new: the document of today's code.
        captured: the old and the new captured values, as records keep them.

    """
    return Drift(
        tuple(_parts(old.parts, new.parts)),
        tuple(_values("captured", *captured)),
        unseen=new.unseen,
    )


def environment_drift(old: Environment, new: Environment) -> tuple[ValueDrift, ...]:
    """Return how two environments differ; a kind of fact that one of them lacks is left out."""
    found: list[ValueDrift] = []
    if old.python and new.python and old.python != new.python:
        found.append(ValueDrift("python", "Python", old.python, new.python))
    if old.distributions is not None and new.distributions is not None:
        found.extend(_values("distribution", old.distributions, new.distributions))
    if old.locks is not None and new.locks is not None:
        found.extend(_values("lock", old.locks, new.locks))
    if old.image and new.image and old.image != new.image:
        found.append(ValueDrift("image", "image", old.image, new.image))
    if old.variables is not None and new.variables is not None:
        found.extend(_values("variable", old.variables, new.variables))
    return tuple(found)


def _parts(old: Mapping[str, PartDocument], new: Mapping[str, PartDocument]) -> Iterator[PartDrift]:
    """Yield changed parts, those nearest to the step's function first; then added, then removed."""
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
    import difflib

    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=3, lineterm="")
    diff = tuple(lines)[2:]
    return PartDrift(name, part.kind, how, _count(diff, "+"), _count(diff, "-"), part.via, diff)


def _count(lines: Iterable[str], sign: str) -> int:
    return sum(line.startswith(sign) for line in lines)


def _values(
    what: What,
    old: Mapping[str, str],
    new: Mapping[str, str],
) -> Iterator[ValueDrift]:
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield ValueDrift(what, name, old.get(name), new.get(name))
