"""Graph -> Targets: fingerprints, output paths, merging, and the clashes that are refused."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marin_build.declared import shown
from marin_build.errors import SpecificationError, combined
from marin_build.identity import deep_fingerprint
from marin_build.workspace import is_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.errors import MarinBuildError
    from marin_build.graph import Graph
    from marin_build.step_spec import StepSpec
    from marin_build.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Target:
    """A step with its fingerprint and output path. `id` is `name_with_hash` or `name@version`."""

    step: StepSpec
    id: str
    fingerprint: str
    output_path: str

    @property
    def name(self) -> str:
        """The step's name."""
        return self.step.name


@dataclass(frozen=True, slots=True)
class Targets:
    """All targets in topological order; `deps` and `requested` are indices into `all`."""

    all: tuple[Target, ...]
    deps: tuple[tuple[int, ...], ...]
    requested: tuple[int, ...]
    workspace: Workspace
    by_id: dict[str, int] = field(repr=False)

    def __len__(self) -> int:
        return len(self.all)

    def dependents(self) -> list[list[int]]:
        """Return, for each target, the targets that need it."""
        found: list[list[int]] = [[] for _ in self.all]
        for index, deps in enumerate(self.deps):
            for dep in deps:
                found[dep].append(index)
        return found

    def deep_fingerprints(self) -> list[str]:
        """Return, for each target, the digest over full upstream digests."""
        deep: list[str] = []
        for target, deps in zip(self.all, self.deps, strict=True):
            deep.append(deep_fingerprint(target.fingerprint, [deep[dep] for dep in deps]))
        return deep


def make_targets(graph: Graph, workspace: Workspace) -> Targets:
    """Return the targets of a graph; steps of equal identity and equal code become one.

    Raises:
        SpecificationError: all clashes of identities and output paths, together.

    """
    targets: list[Target] = []
    merged_deps: list[tuple[int, ...]] = []
    place_of: list[int] = []  # index in graph.steps -> index in targets
    by_id: dict[str, int] = {}
    errors: list[MarinBuildError] = []
    for step, deps in zip(graph.steps, graph.deps, strict=True):
        target = Target(
            step, step.target_id, step.fingerprint, step.output_path_in(workspace.prefix)
        )
        index = by_id.setdefault(target.id, len(targets))
        place_of.append(index)
        errors.extend(_own_errors(target, graph.steps, deps, workspace))
        if index == len(targets):
            targets.append(target)
            merged_deps.append(tuple(dict.fromkeys([place_of[dep] for dep in deps])))
        elif (clash := _clash(targets[index], target, workspace)) is not None:
            errors.append(clash)
    errors.extend(_path_errors(targets, workspace))
    if errors:
        raise combined(errors)
    requested = tuple(dict.fromkeys(place_of[root] for root in graph.roots))
    return Targets(tuple(targets), tuple(merged_deps), requested, workspace, by_id)


def _own_errors(
    target: Target, steps: Sequence[StepSpec], deps: Sequence[int], workspace: Workspace
) -> list[MarinBuildError]:
    """Return what is wrong with one target, seen with its dependencies."""
    step = target.step
    errors: list[tuple[str, str | None]] = []
    if step.expected_fingerprint not in (None, target.fingerprint):
        pinned = step.expected_fingerprint
        what = f"`{step.name}` has the fingerprint {target.fingerprint}, but {pinned} is pinned"
        errors.append((what, None))
    for dep in deps:
        if steps[dep].is_dev and not step.is_dev:
            what = f"`{step.name}` depends on the dev version `{steps[dep].target_id}`"
            errors.append((what, "what is kept must not depend on what is rebuilt each time"))
    if (leak := _leak(step, [steps[dep] for dep in deps], workspace)) is not None:
        what = f"`{step.name}` names a place of outputs in an attribute or argument: `{leak}`"
        errors.append((what, "give the step itself as an argument, or use a placeholder"))
    return [
        SpecificationError(
            what,
            hint=hint,
            consequence="nothing was run",
            facts=[("declared", shown(step.declared, workspace.project))],
        )
        for what, hint in errors
    ]


def _leak(step: StepSpec, deps: Sequence[StepSpec], workspace: Workspace) -> str | None:
    """Return the place of outputs that the identity of `step` contains, or None."""
    prefixes = [workspace.prefix, *(dep.output_path_prefix or "" for dep in deps)]
    places = [p for p in prefixes if is_url(p) or p.count("/") > 1]
    places += [dep.override_output_path for dep in deps if dep.override_output_path]
    if workspace.adopted:
        places += [p for dep in deps if (p := workspace.adopted.get(dep.target_id)) is not None]
    texts: list[object] = [step.hash_attrs] if step.hash_attrs else []
    template = getattr(step.fn, "text", ())
    texts.extend([template] if isinstance(template, str) else template)
    if not texts:
        return None
    text = repr(texts)
    return next((place for place in places if place in text and _names_place(text, place)), None)


def _names_place(text: str, place: str) -> bool:
    """Return whether a text names this place, not one that only begins like it."""
    return re.search(re.escape(place) + r"(?![A-Za-z0-9._-])", text) is not None


def _clash(one: Target, other: Target, workspace: Workspace) -> SpecificationError | None:
    """Return why two steps with the same target cannot be one, or None if they can."""
    if one.fingerprint != other.fingerprint:
        what = f"two different steps both want to be `{one.id}`"
        hint = "give one of them another name or version"
    elif not _have_same_code(one.step, other.step):
        what = f"two steps have the identity `{one.id}` but different code"
        hint = "what differs must be an attribute: add it to `hash_attrs`"
    elif one.output_path != other.output_path:
        what = f"`{one.id}` is declared with two output paths"
        hint = "declare it once"
    else:
        return None
    places = [shown(t.step.declared, workspace.project) for t in (one, other)]
    return SpecificationError(
        what, facts=[("declared", ", ".join(places))], consequence="nothing was run", hint=hint
    )


def _have_same_code(one: StepSpec, other: StepSpec) -> bool:
    """Return whether two steps of one identity may be merged."""
    if one.fn is other.fn:
        return True
    from marin_build.code import same_code  # reads source: only where steps are to be merged

    return same_code(one.fn, other.fn)


def _path_errors(targets: Sequence[Target], workspace: Workspace) -> list[MarinBuildError]:
    """Return an error for every output path that equals, or lies inside, another's."""
    by_path: dict[str, Target] = {}
    errors: list[MarinBuildError] = []
    for target in targets:
        other = by_path.setdefault(target.output_path, target)
        if other is not target:
            errors.append(_nested(target, other, "and", workspace))
    somewhere_else = any(
        target.step.override_output_path or target.step.output_path_prefix for target in targets
    )
    for target in targets:
        # Below one prefix only a name with a slash, or a version, can lie inside another output.
        if not somewhere_else and "/" not in target.id and target.step.version is None:
            continue
        parent = target.output_path
        while "/" in parent.rstrip("/"):
            parent = parent.rstrip("/").rpartition("/")[0]
            if parent in by_path:
                errors.append(_nested(target, by_path[parent], "lies inside that of", workspace))
    return errors


def _nested(one: Target, other: Target, how: str, workspace: Workspace) -> SpecificationError:
    what = (
        f"the output of `{one.id}` {how} `{other.id}`"
        if how != "and"
        else f"`{one.id}` and `{other.id}` have the same output path"
    )
    places = [shown(t.step.declared, workspace.project) for t in (one, other)]
    return SpecificationError(
        what,
        consequence="nothing was run",
        facts=[
            ("paths", f"{one.output_path}\n{other.output_path}"),
            ("declared", ", ".join(places)),
        ],
    )
