"""The selector language: names, globs, `+x`, `x+`, `tag:T`.

tokenize          the steps of that name, a target's id (`tokenize_1a2b3c4d`), or its hash
tokenize/*        a glob over names; `**` crosses `/`
+train            train and all it needs
clean+            clean and all that need it
tag:eval          the steps with that tag
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.errors import UsageError, combined
from marin_build.identity import HASH_ID_LENGTH
from marin_build.names import did_you_mean
from marin_build.patterns import compile_patterns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.errors import MarinBuildError
    from marin_build.fingerprint import Targets


def select(targets: Targets, selectors: Sequence[str]) -> tuple[int, ...]:
    """Return the selected targets, in topological order; the requested ones without selectors.

    Raises:
        UsageError: selectors that select nothing, all of them together.

    """
    if not selectors:
        return targets.requested
    found: set[int] = set()
    errors: list[MarinBuildError] = []
    for selector in selectors:
        chosen = _select(targets, selector)
        if not chosen:
            errors.append(_nothing(targets, selector))
        found |= chosen
    if errors:
        raise combined(errors)
    return tuple(sorted(found))


def _select(targets: Targets, selector: str) -> set[int]:
    core = selector.removeprefix("+").removesuffix("+")
    chosen = _matches(targets, core)
    if not chosen or core == selector:
        return chosen
    from marin_build.analysis import downstream, upstream

    found = set(chosen)
    if selector.startswith("+"):
        found |= upstream(targets, chosen)
    if selector.endswith("+"):
        found |= downstream(targets, chosen)
    return found


def _matches(targets: Targets, core: str) -> set[int]:
    everything = enumerate(targets.all)
    if core.startswith("tag:"):
        tag = core.removeprefix("tag:")
        return {i for i, target in everything if tag in target.step.tags}
    if any(char in core for char in "*?["):
        matches = compile_patterns([core])
        return {i for i, target in everything if matches(target.name)}
    if core in targets.by_id:
        return {targets.by_id[core]}
    return {
        i
        for i, target in everything
        if core in (target.name, target.fingerprint[:HASH_ID_LENGTH], target.fingerprint)
    }


def _nothing(targets: Targets, selector: str) -> UsageError:
    core = selector.strip("+")
    if core.startswith("tag:"):
        tags = sorted({tag for target in targets.all for tag in target.step.tags})
        return UsageError(
            f"no step has the tag `{core.removeprefix('tag:')}`",
            hint=f"the tags are {', '.join(tags)}" if tags else "no step has a tag",
        )
    names = dict.fromkeys(target.name for target in targets.all)
    return UsageError(
        f"no step is called `{core}`",
        facts=[("steps", f"{len(names)} in this pipeline")],
        consequence="nothing was run",
        hint=did_you_mean(core, names) or "`marin-build graph` shows them all",
    )
