"""The errors for selectors that select nothing, with what was meant, where that can be guessed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from marin_build.errors import NotFoundError, UsageError
from marin_build.identity.payload import HASHED_NAME
from marin_build.pipeline.glob_patterns import compile_patterns
from marin_build.text.readable import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.selector_grammar import Part, Term


_SHOWN_TAGS = 20


def without_hash(id_: str) -> str:
    """Return the name in a target's id; any other text as it is."""
    hashed = HASHED_NAME.fullmatch(id_)
    return hashed["name"] if hashed is not None else id_


def disjoint(part: Part, sets: Sequence[set[int]]) -> UsageError:
    """Return the error for a part whose terms have no target in common."""
    return UsageError(
        f"`{'&'.join(map(str, part))}` selects nothing: no target is in all of its terms",
        facts=[
            (str(term), f"{len(found)} target{'s' * (len(found) != 1)}")
            for term, found in zip(part, sets, strict=True)
        ],
        consequence="nothing was run",
    )


def nothing(targets: Targets, term: Term) -> UsageError:
    """Return the error for a term that selects no target."""
    if term.kind == "tag":
        tags = sorted({tag for target in targets.all for tag in target.step.tags})
        near = did_you_mean(term.value, tags)
        shown = ", ".join(tags[:_SHOWN_TAGS]) + (", ..." if len(tags) > _SHOWN_TAGS else "")
        known = f"the tags are {shown}" if tags else "no step has a tag"
        return UsageError(
            f"no step has the tag `{term.value}`",
            hint=f"{near} {known}" if near else known,
        )
    named = [later for later in targets.later if later.name == term.value]
    if named:
        from marin_build.plan.later_selection import names_of

        return NotFoundError(
            f"`{term.value}` is an expansion: its steps are known once "
            f"{names_of(targets, named[0].sources)} is built",
            facts=[("declared", named[0].place)],
            consequence="nothing was run",
            hint=f"marin-build apply {term.value}",
        )
    names = dict.fromkeys(target.name for target in targets.all)
    waits = ""
    if targets.later:
        from marin_build.plan.later_selection import what_waits

        waits = what_waits(targets)
    return NotFoundError(
        f"no step is called `{term.value}`",
        facts=[
            ("steps", f"{len(names)} in this pipeline"),
            *([("not known yet", waits)] if waits else []),
        ],
        consequence="nothing was run",
        hint=_pattern_meant(term.value, names)
        or did_you_mean(term.value, names)
        or "`marin-build graph` shows them all",
    )


def _pattern_meant(value: str, names: Iterable[str]) -> str | None:
    """Return a hint at a pattern that does select steps, if the given one is close to it.

    Patterns that users bring along from other programs: `*` that crosses `/`, a folder for all that
    is in it, the last part of a name for the whole.
    """
    wide = re.sub(r"\*+", "**", value)
    bare = value.strip("/")
    for pattern, why in (
        (wide, "`*` stops at `/`, and `**` crosses it"),
        (f"{bare}/**", "a name is the whole name; `**` stands for all below it"),
        (f"**/{bare}", "a name is the whole name; `**/` stands for what is before it"),
        (value.removesuffix("_*"), "globs match names, not ids"),
        (without_hash(value), "the digits behind a name change with its identity"),
    ):
        if pattern and pattern != value:
            matches = compile_patterns([pattern])
            if count := sum(map(matches, names)):
                what = "1 step" if count == 1 else f"{count} steps"
                return f"`{pattern}` selects {what}: {why}"
    return None
