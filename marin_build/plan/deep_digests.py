"""One digest over the code of a target and of all it needs: it shows drift far upstream.

    deep(target) = sha256(own code digest, deep digests of what it needs, sorted)

The record of an output keeps the digest of the code that built the output and its dependencies. So
one record tells whether the code of any of them has changed since; `env_vars` count as code here. A
step that declares `code="ignore"` counts as constant. The code policy of a run or a project has no
effect on the digest: a record must not depend on the options of the run that wrote it. Pure.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from marin_build.identity.code.digest import code_digest
from marin_build.identity.payload import deep_fingerprint
from marin_build.pipeline.bound_call import BoundCall
from marin_build.plan.graph_shape import upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.pipeline.targets import Targets
    from marin_build.plan.decisions import Plan
    from marin_build.plan.identity_drift import IdentityDrift


def own_digest(code: str, variables: Mapping[str, str] | None) -> str:
    """Return what a step adds to the deep digest: its code digest, and its variables if any.

    Args:
        code: the digest of its code; empty for a step that counts as constant.
        variables: its `env_vars` as records keep them; None if they are not known.

    """
    return f"{code}\n{json.dumps(variables, sort_keys=True)}" if variables else code


def deep_digest(own: str, upstream: Iterable[str]) -> str:
    """Return the deep digest of a target.

    Args:
        own: of `own_digest`.
        upstream: deep digests of its dependencies.

    """
    return hashlib.sha256("\n".join([own, *sorted(upstream)]).encode()).hexdigest()


def deep_digests(
    targets: Targets, wanted: Iterable[int], digest: Callable[[object], str] = code_digest
) -> dict[int, str]:
    """Return the deep digests of some targets and of all they need, by index, for today's code.

    Args:
        targets: the pipeline's targets.
        wanted: which ones.
        digest: returns the code digest of what builds a step.

    """
    found: dict[int, str] = {}
    own = _OwnDigests(digest)
    for index in sorted(upstream(targets, wanted)):  # topological
        above = [found[dep] for dep in targets.deps[index]]
        found[index] = deep_digest(own.of(targets.all[index].step), above)
    return found


def all_digests(targets: Targets) -> tuple[dict[int, str], dict[int, str]]:
    """Return the code digests of all targets that something builds, and the deep ones of all."""
    known: dict[int, str] = {}  # by function: the steps hold theirs, so that its `id` stays valid

    def digest(fn: object) -> str:
        key = id(fn.function) if isinstance(fn, BoundCall) else id(fn)
        if (found := known.get(key)) is None:
            found = known[key] = code_digest(fn)
        return found

    fns = ((index, target.step.fn) for index, target in enumerate(targets.all))
    own = {index: digest(fn) for index, fn in fns if fn is not None}
    return own, deep_digests(targets, range(len(targets)), digest)


def deep_digests_of_run(
    targets: Targets, to_build: Iterable[int], recorded: Mapping[int, str | None]
) -> dict[int, str]:
    """Return the deep digests that the records of one run will keep, by target.

    The digest of a reused target is taken from its record. If the record has none, that of the
    present code is used, so that later changes of the code are reported.

    Args:
        targets: the pipeline's targets.
        to_build: the targets that the run builds; each dependency is also in here, or reused.
        recorded: the deep digest in the record of each reused target, if there is one.

    """
    order = sorted(to_build)  # topological: dependencies come first
    own = _OwnDigests()
    found: dict[int, str] = {}
    building = set(order)
    unknown = {
        dep
        for index in order
        for dep in targets.deps[index]
        if dep not in building and recorded.get(dep) is None
    }
    now = deep_digests(targets, unknown) if unknown else {}
    for index in order:
        upstream = [
            found[dep] if dep in building else recorded.get(dep) or now[dep]
            for dep in targets.deps[index]
        ]
        found[index] = deep_digest(own.of(targets.all[index].step), upstream)
    return found


class _OwnDigests:
    """The code digest of each step; the digest of a function is computed once for all its steps."""

    def __init__(self, digest: Callable[[object], str] = code_digest) -> None:
        self._digest = digest
        self._of_function: dict[int, str] = {}

    def of(self, step: StepSpec) -> str:
        """Return the digest of a step's code; empty where it counts as constant."""
        fn = step.fn
        if fn is None or step.code == "ignore":
            return ""
        if not isinstance(fn, BoundCall):
            digest = self._digest(fn)
        else:  # the step holds the function, so its `id` stays valid; arguments are no code
            key = id(fn.function)
            digest = self._of_function.get(key, "")
            if not digest:
                digest = self._of_function[key] = self._digest(fn)
        if not step.env_vars:
            return digest
        from marin_build.protocol.provenance import variables_of

        return own_digest(digest, variables_of(step.env_vars, step.secrets))


def deep_fingerprints_of_run(plan: Plan) -> list[str]:
    """Return the deep fingerprints that the records of a run will keep, by target.

    A reused target counts with the identity in its record, even where the pipeline declares another
    one. So later plans can tell from which identity a target was made.
    """
    targets = plan.targets
    deep = targets.deep_fingerprints()
    drifted: Mapping[int, IdentityDrift] = {}
    if plan.snapshot.drifted:
        from marin_build.plan.drift import reused_drift

        drifted = reused_drift(plan)
    for index in drifted:
        built = plan.snapshot.of(index).built
        if built is not None and built.deep_fingerprint is not None:
            deep[index] = built.deep_fingerprint
    for index in sorted(plan.to_build) if drifted else ():  # topological
        upstream = [deep[dep] for dep in targets.deps[index]]
        deep[index] = deep_fingerprint(targets.all[index].fingerprint, upstream)
    return deep
