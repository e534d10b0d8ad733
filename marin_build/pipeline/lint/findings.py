"""What `lint` finds: its kinds, and how equal findings of several steps become one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from marin_build.text.readable import some_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LintKind = Literal[
    "unused-dep",
    "unused-input",
    "unused-attr",
    "undeclared-file",
    "outside-path",
    "untyped-output",
    "twins",
    "unsteady",
    "unseen-code",
    "refused-by-engine",
]
KINDS: tuple[LintKind, ...] = get_args(LintKind)

WHY: Mapping[LintKind, str] = {
    "unused-dep": "the step waits for it, and is built again when it changes, for nothing",
    "unused-input": "the step is built again when it changes, for nothing",
    "unused-attr": "another value builds the step again, and makes nothing else of it",
    "undeclared-file": "changes to it will not rebuild the step",
    "outside-path": "changes to it will not rebuild the step, and other machines may not have it",
    "untyped-output": "readers and type checkers do not know that it is the path of a folder",
    "twins": "the same is built several times",
    "unsteady": "it is another target each time: nothing is reused, and no saved plan is replayed",
    "unseen-code": "the code of the step is identity, but changes to this will not rebuild it",
    "refused-by-engine": "nothing of a plan with it is built there",
}
"""Why a finding of each kind matters, in one clause."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A declaration that is legal, and probably a mistake.

    Args:
        kind: one of `KINDS`; they are stable: configurations name them.
        steps: the names of the steps that it is about, in the order of the graph.
        place: file and line of what is to be changed: the declaration of the first of these
            steps, or of its function.
        what: what is wrong with them, to stand behind their names.
        way_out: what the author can do.

    """

    kind: LintKind
    steps: tuple[str, ...]
    place: tuple[str, int]
    what: str
    way_out: str | None

    @property
    def why(self) -> str:
        """Why it matters."""
        return WHY[self.kind]

    @property
    def subject(self) -> str:
        """The steps it is about, for people."""
        return some_of([f"`{name}`" for name in self.steps])


def merged(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings by file and line; what is wrong with several steps at one place is one."""
    found: dict[tuple[object, ...], Finding] = {}
    for each in findings:
        key = (each.kind, each.place, each.what, each.way_out)
        known = found.get(key)
        steps = each.steps if known is None else (*known.steps, *each.steps)
        found[key] = replace(each, steps=tuple(dict.fromkeys(steps)))
    order = {kind: index for index, kind in enumerate(KINDS)}
    return tuple(sorted(found.values(), key=lambda each: (each.place, order[each.kind])))
