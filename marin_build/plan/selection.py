"""Selectors -> targets (the grammar is in selector_grammar.py).

tokenize              the steps with that name, a target's id (`tokenize_1a2b3c4d`), or its hash
tokenize/*            a glob over names; `**` crosses `/`
+train, clean+        train and all it needs; clean and all that need it
tag:eval              the steps with that tag
status:failed         the targets of that status in the store: failed, running, success, missing
drifted               the built targets whose code, environment or identity drifted since
changed-since:main    the targets whose identity or code differs from a git revision's
a,b   a&b   ^c        union, intersection, all but
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from marin_build.errors import MarinBuildError, UsageError, combined
from marin_build.pipeline.glob_patterns import compile_patterns
from marin_build.plan.nothing_selected import disjoint, nothing, without_hash
from marin_build.plan.selector_grammar import parse_selector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.pipeline.targets import Targets
    from marin_build.plan.later_selection import Unknown
    from marin_build.plan.selector_grammar import Part, StatusWord, Term
    from marin_build.protocol.status import Status

    StatusOf = Callable[[int], Status | None]
    ChangedSince = Callable[[str], AbstractSet[int]]
    Drifted = Callable[[], AbstractSet[int]]

_HASH = re.compile(r"[0-9a-f]{6}|[0-9a-f]{8}|[0-9a-f]{64}")


def only_one(selector: str, chosen: Sequence[int], done: str, consequence: str = "") -> int:
    """Return the target that a selector selects.

    Args:
        selector: as the user wrote it.
        chosen: indices of the targets it selects.
        done: the end of the error `one ...`: `is adopted at a time`.
        consequence: the effect of the error, for its text: `nothing was run`.

    Raises:
        UsageError: it selects several, or none.

    """
    if len(chosen) != 1:
        raise UsageError(
            f"`{selector}` stands for {len(chosen)} targets; one {done}",
            consequence=consequence or None,
        )
    return chosen[0]


def select(
    targets: Targets,
    selectors: Sequence[str],
    *,
    status_of: StatusOf | None = None,
    changed_since: ChangedSince | None = None,
    drifted: Drifted | None = None,
    unknown: Unknown = "refuse",
) -> tuple[int, ...]:
    """Return indices of the selected targets, in topological order.

    Without selectors these are the requested targets. Several selectors are one: `a`, `^b` is
    `a,^b`. The result can only be empty if `status:`, `changed-since:` or `drifted` decides, or if
    targets that are not known yet may be selected later.

    Args:
        targets: the pipeline's targets.
        selectors: texts in the grammar of selector_grammar.py.
        status_of: index of a target -> its status; called only for `status:`.
        changed_since: revision -> the targets that differ from it.
        drifted: returns the targets that drifted; called only for `drifted`.
        unknown: what becomes of selectors that may only select targets that are not known yet.

    Raises:
        UsageError: selectors that cannot be read or select nothing, all of them together.

    """
    if not selectors:
        return targets.requested
    parts: list[Part] = []
    errors: list[MarinBuildError] = []
    may_be_empty = False
    if targets.later:  # rare: its module is imported only then
        from marin_build.plan.later_selection import is_unknown, later_matches

        may_be_empty = is_unknown(targets, unknown)
    for selector in selectors:
        try:
            parts.extend(parse_selector(selector))
        except UsageError as error:
            errors.append(error)
    chosen: dict[Term, set[int]] = {}
    for term in dict.fromkeys(term for part in parts for term in part):
        chosen[term] = matches_of(targets, term, status_of, changed_since, drifted)
        if targets.later:
            chosen[term] |= later_matches(targets, term, chosen[term], unknown)
        if not chosen[term] and not term.asks_for_state and not may_be_empty:
            errors.append(nothing(targets, term))
    if not errors:
        found = _combine(parts, chosen, len(targets), [] if may_be_empty else errors)
    if errors:
        raise combined(errors)
    if not found and not may_be_empty and not any(term.asks_for_state for term in chosen):
        raise UsageError(
            f"`{' '.join(selectors)}` selects nothing: `^` leaves all of it out",
            consequence="nothing was run",
        )
    return tuple(sorted(found))


def asks_for_drift(selectors: Iterable[str]) -> bool:
    """Return whether code is compared to find out what selectors select, as far as they parse."""
    for selector in selectors:
        try:
            parts = parse_selector(selector)
        except UsageError:
            continue
        if any(term.asks_for_drift for part in parts for term in part):
            return True
    return False


def steps_meant(steps: Iterable[StepSpec], selector: str) -> list[StepSpec]:
    """Return the steps that a selector may mean if it is a name or a target's id.

    No fingerprint is computed. Empty for a hash: any step may have it.
    """
    if _HASH.fullmatch(selector):
        return []
    names = {selector, selector.partition("@")[0], without_hash(selector)}
    return [step for step in steps if step.name in names]


def steps_needed(steps: Sequence[StepSpec], selectors: Sequence[str]) -> list[StepSpec] | None:
    """Return the steps that selectors may mean, as far as names and tags alone decide it.

    Fingerprints are not asked for. None where something else decides too: hashes, statuses,
    revisions, what is left out, what needs a target, or a selector that is none.
    """
    found: dict[StepSpec, None] = {}
    for selector in selectors:
        try:
            parts = parse_selector(selector)
        except UsageError:
            return None
        for term in (term for part in parts for term in part):
            if term.is_excluded or term.with_downstream:
                return None
            match term.kind:
                case "name":
                    chosen = steps_meant(steps, term.value)
                case "tag":
                    chosen = [step for step in steps if term.value in step.tags]
                case "glob":
                    matches = compile_patterns([term.value])
                    chosen = [step for step in steps if matches(step.name)]
                case _:
                    return None
            if not chosen:
                return None
            found.update(dict.fromkeys(chosen))
    return list(found)


def _combine(
    parts: Sequence[Part],
    chosen: dict[Term, set[int]],
    size: int,
    errors: list[MarinBuildError],
) -> set[int]:
    """Return the union of the parts, without excluded targets; append to the errors."""
    everything = set(range(size))
    found, left_out = set[int](), set[int]()
    only_left_out = True
    for part in parts:
        if len(part) == 1 and part[0].is_excluded:
            left_out |= chosen[part[0]]
            continue
        only_left_out = False
        sets = [everything - chosen[t] if t.is_excluded else chosen[t] for t in part]
        both = set.intersection(*sets)
        if not both and not any(term.asks_for_state for term in part):
            errors.append(disjoint(part, sets))
        found |= both
    return (everything if only_left_out else found) - left_out


def matches_of(
    targets: Targets,
    term: Term,
    status_of: StatusOf | None,
    changed_since: ChangedSince | None,
    drifted: Drifted | None,
) -> set[int]:
    """Return the targets that a term selects, as if it had no `^`."""
    found = _atom_matches(targets, term, status_of, changed_since, drifted)
    if not found and term.kind == "name" and term.with_downstream:
        # A name may end in `+`, as `code/c++` does.
        named = replace(term, value=f"{term.value}+", with_downstream=False)
        return matches_of(targets, named, status_of, changed_since, drifted)
    if not found or not (term.with_upstream or term.with_downstream):
        return found
    from marin_build.plan.graph_shape import downstream, upstream

    wide = set(found)
    if term.with_upstream:
        wide |= upstream(targets, found)
    if term.with_downstream:
        wide |= downstream(targets, found)
    return wide


def _atom_matches(
    targets: Targets,
    term: Term,
    status_of: StatusOf | None,
    changed_since: ChangedSince | None,
    drifted: Drifted | None,
) -> set[int]:
    value, everything = term.value, enumerate(targets.all)
    match term.kind:
        case "tag":
            return {i for i, target in everything if value in target.step.tags}
        case "glob":
            matches = compile_patterns([value])
            return {i for i, target in everything if matches(target.name)}
        case "drifted":
            named = {i for i, target in everything if target.name == value}
            return named or _drifted(term, drifted)
        case "status" if term.asks_for_drift:
            return _drifted(term, drifted)
        case "status":
            if status_of is None:
                raise _not_here(term, "statuses", "are read")
            return {i for i, _ in everything if _status_word(status_of(i)) == value}
        case "changed-since":
            if changed_since is None:
                raise _not_here(term, "revisions", "are read")
            return set(changed_since(value))
        case "name":
            if value in targets.by_id:
                return {targets.by_id[value]}
            return {
                i
                for i, target in everything
                if value in (target.name, target.step.hash_id, target.fingerprint)
            }
    assert_never(term.kind)


def _drifted(term: Term, drifted: Drifted | None) -> set[int]:
    if drifted is None:
        raise _not_here(term, "drift", "is compared")
    return set(drifted())


def _status_word(status: Status | None) -> StatusWord:
    match status:
        case None | "LET_GO" | "DELETING":
            return "missing"
        case "SUCCESS":
            return "success"
        case "RUNNING":
            return "running"
        case "FAILED" | "DEP_FAILED":
            return "failed"
    assert_never(status)


def _not_here(term: Term, what: str, done: str) -> UsageError:
    return UsageError(
        f"`{term.atom}` cannot be answered here: no {what} {done}", consequence="nothing was run"
    )
