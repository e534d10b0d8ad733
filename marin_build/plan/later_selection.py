"""Selectors and expansions: what a selector selects of steps that are not known yet. Pure.

A selector may name an expansion: that stands for all steps that it gives. A name, a glob or a tag
that no known step has may belong to a step that is not known yet: then all expansions that wait
are meant, so that their steps are among what is asked for once they are known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from marin_build.pipeline.glob_patterns import compile_patterns
from marin_build.plan.graph_shape import upstream
from marin_build.plan.selector_grammar import parse_selector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from marin_build.pipeline.targets import LaterTargets, Targets
    from marin_build.plan.selector_grammar import Term

Unknown = Literal["build", "leave out", "refuse"]
"""What becomes of a selector that may only select steps that are not known yet: what they wait for
is selected in their place, or nothing is, or that is an error."""


def selected_later(
    targets: Targets, selectors: Sequence[str], matches: Callable[[Term], AbstractSet[int]]
) -> tuple[int, ...]:
    """Return the indices in `targets.later` of the expansions that are asked for.

    Args:
        targets: the pipeline's targets.
        selectors: as for `select`; none: all expansions are asked for.
        matches: term -> the known targets that it selects.

    """
    if not targets.later:
        return ()
    everything = range(len(targets.later))
    if not selectors:
        return tuple(everything)
    parts = [part for selector in selectors for part in parse_selector(selector)]
    left_out = {
        index
        for part in parts
        if len(part) == 1 and part[0].is_excluded
        for index in everything
        if _names(part[0], targets.later[index])
    }
    positive = [part for part in parts if not (len(part) == 1 and part[0].is_excluded)]
    found = set() if positive else set(everything)
    for part in positive:
        for term in part:
            if not term.is_excluded:
                found |= _meant(targets, term, matches(term))
    return tuple(sorted(found - left_out))


def later_matches(
    targets: Targets, term: Term, found: AbstractSet[int], unknown: Unknown
) -> set[int]:
    """Return what a term selects because of expansions, beside the steps that it names itself.

    Args:
        targets: the pipeline's targets.
        term: the term.
        found: the targets that it selects itself.
        unknown: what becomes of steps that are not known yet.

    """
    chosen: set[int] = set()
    for index in _meant(targets, term, found):
        later = targets.later[index]
        if _names(term, later):
            chosen |= _own(targets, later) if term.is_excluded else set(later.targets or ())
        if unknown == "build" and not term.is_excluded:
            chosen.update(later.sources)
    return chosen


def is_unknown(targets: Targets, unknown: Unknown) -> bool:
    """Return whether a selector that selects nothing may select something later."""
    return unknown != "refuse" and bool(_waiting(targets))


def what_waits(targets: Targets) -> str:
    """Return which expansions have no steps, and what they wait for; empty: all have some."""
    return "; ".join(
        f"`{later.name}` waits for {names_of(targets, later.sources)}"
        if later.error is None
        else f"`{later.name}` gives none for what {names_of(targets, later.sources)} returned"
        for later in (targets.later[index] for index in _waiting(targets))
    )


def names_of(targets: Targets, indices: Iterable[int]) -> str:
    """Return the names of targets for a sentence: `` `a` and `b` ``; of many the first few."""
    names = list(dict.fromkeys(f"`{targets.all[index].name}`" for index in indices))
    if len(names) > _SHOWN:
        names[_SHOWN - 1 :] = [f"{len(names) - _SHOWN + 1} more"]
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


_SHOWN = 4


def _waiting(targets: Targets) -> list[int]:
    return [index for index, later in enumerate(targets.later) if later.targets is None]


def _own(targets: Targets, later: LaterTargets) -> set[int]:
    """Return the targets of an expansion, with what only they need."""
    roots = set(later.targets or ())
    others = upstream(targets, [i for i in targets.requested if i not in roots])
    return upstream(targets, roots) - others


def _meant(targets: Targets, term: Term, found: AbstractSet[int]) -> set[int]:
    """Return the expansions that a term means."""
    named = {i for i, later in enumerate(targets.later) if _names(term, later)}
    if term.with_downstream and found:
        named |= {i for i, later in enumerate(targets.later) if found & set(later.sources)}
    if not found and not named and term.kind in ("name", "glob", "tag"):
        return set(_waiting(targets))
    return named


def _names(term: Term, later: LaterTargets) -> bool:
    match term.kind:
        case "name":
            return term.value == later.name
        case "glob":
            return bool(compile_patterns([term.value])(later.name))
    return False
