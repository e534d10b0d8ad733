"""Graph -> Targets: fingerprints, output paths, merging, and the clashes that are refused."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from marin_build.errors import SpecificationError, combined
from marin_build.identity.payload import deep_fingerprint
from marin_build.pipeline.declared_at import shown
from marin_build.pipeline.leaked_places import known_places, leak_error, leaked_place
from marin_build.pipeline.refused_places import lies_among_ours, refused_places
from marin_build.pipeline.traits import traits_of
from marin_build.quick_dataclass import dataclass
from marin_build.workspace.workspace import former_identities

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from marin_build.errors import MarinBuildError
    from marin_build.pipeline.graph import Graph
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.pipeline.traits import Traits
    from marin_build.workspace.workspace import Workspace


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
class LaterTargets:
    """An expansion, and the targets it stands for.

    Args:
        name: the expansion's.
        place: where it was declared, `file:line`.
        sources: the targets that must be built before its own are known.
        targets: its own; None: they are not known.
        error: why they are not known although all sources are built.

    """

    name: str
    place: str
    sources: tuple[int, ...]
    targets: tuple[int, ...] | None
    error: MarinBuildError | None = None


@dataclass(frozen=True, slots=True)
class Targets:
    """All targets in topological order; `deps` and `requested` are indices into `all`.

    `traits` says which of them have what few have. `later` has the expansions of the pipeline,
    those that others returned after them, and `deep_codes` by target the deep digests of today's
    code, where they are known already.
    """

    all: tuple[Target, ...]
    deps: tuple[tuple[int, ...], ...]
    requested: tuple[int, ...]
    workspace: Workspace
    by_id: dict[str, int] = field(repr=False)
    traits: Traits = field(repr=False)
    later: tuple[LaterTargets, ...] = ()
    deep_codes: Mapping[int, str] | None = field(default=None, compare=False, repr=False)

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


def make_targets(graph: Graph, workspace: Workspace, *, are_final: bool = True) -> Targets:
    """Return the targets of a graph; steps of equal identity and equal code become one.

    Args:
        graph: its sources are known.
        workspace: has the prefix.
        are_final: whether the fingerprints are those that count, and pinned ones must be equal.

    Raises:
        SpecificationError: all clashes of identities and output paths, together.

    """
    targets: list[Target] = []
    merged_deps: list[tuple[int, ...]] = []
    place_of: list[int] = []  # index in graph.steps -> index in targets
    by_id: dict[str, int] = {}
    errors: list[MarinBuildError] = []
    places = known_places(workspace, ())
    traits, suspects = graph.traits, list[Target]()
    elsewhere = {graph.steps[i] for i in traits.with_places}
    if workspace.adopted:
        elsewhere.update(graph.steps)
    prefix = workspace.prefix
    has_former = bool(former_identities())
    for step, deps in zip(graph.steps, graph.deps, strict=True):
        payload = step.payload if has_former else step.identify()
        target = Target(step, step.target_id, step.fingerprint, step.output_path_in(prefix))
        index = by_id.setdefault(target.id, len(targets))
        place_of.append(index)
        known = places if elsewhere.isdisjoint(step.deps) else known_places(workspace, step.deps)
        if (leak := leaked_place(step, payload, known)) is not None:
            errors.append(leak_error(step, leak, workspace))
        if index == len(targets):
            targets.append(target)
            if "/" in target.id or step.version is not None or elsewhere:
                suspects.append(target)
            was_merged = len(targets) != len(place_of)
            merged_deps.append(
                tuple(dict.fromkeys([place_of[dep] for dep in deps])) if was_merged else deps
            )
        elif (clash := clash_of(targets[index], target, workspace)) is not None:
            errors.append(clash)
    if are_final:
        errors.extend(pin_errors([graph.steps[i] for i in sorted(traits.with_pins)], workspace))
    if traits.of_dev_versions:
        errors.extend(_dev_errors(graph.steps, workspace))
    placed = targets if lies_among_ours(prefix) else [t for t in suspects if t.step in elsewhere]
    refused = dict(refused_places([(t.step, t.output_path) for t in placed], workspace))
    errors.extend(refused.values())
    errors.extend(_path_errors(targets, suspects, refused, workspace))
    if errors:
        raise combined(errors)
    requested = tuple(dict.fromkeys(place_of[root] for root in graph.roots))
    if len(targets) != len(graph.steps):
        traits = traits_of([target.step for target in targets])
    return Targets(tuple(targets), tuple(merged_deps), requested, workspace, by_id, traits)


def pin_errors(steps: Iterable[StepSpec], workspace: Workspace) -> Iterator[MarinBuildError]:
    """Yield an error for every step whose fingerprint is not the one that was pinned."""
    for step in steps:
        pinned = step.expected_fingerprint
        if pinned is not None and pinned != step.fingerprint:
            what = f"`{step.name}` has the fingerprint {step.fingerprint}, but {pinned} is pinned"
            yield _error_of(step, what, None, workspace)


def _dev_errors(steps: Sequence[StepSpec], workspace: Workspace) -> Iterator[MarinBuildError]:
    """Yield an error for each step without a dev version that depends on a dev version."""
    dev = {step for step in steps if step.version is not None and step.is_dev}
    for step in steps:
        if step in dev or dev.isdisjoint(step.deps):
            continue
        for dep in dict.fromkeys(dep for dep in step.deps if dep in dev):
            if dep.has_recipe and step.version is None:
                continue  # Marin allows it: this one is built again each time, too
            what = f"`{step.name}` depends on the dev version `{dep.target_id}`"
            hint = "a dev version is rebuilt each time: give the step that depends on it one, too"
            yield _error_of(step, what, hint, workspace)


def _error_of(
    step: StepSpec, what: str, hint: str | None, workspace: Workspace
) -> SpecificationError:
    return SpecificationError(
        what,
        hint=hint,
        consequence="nothing was run",
        facts=[("declared", shown(step.declared, workspace.project))],
    )


def clash_of(one: Target, other: Target, workspace: Workspace) -> SpecificationError | None:
    """Return why two steps of one id or output path cannot be one, or None if they can."""
    if one.id != other.id:
        return _nested(one, other, "and", workspace)
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
    if one.has_recipe and other.has_recipe:  # the recipe holds what tells them apart
        from marin_build.identity.code.digest import code_digest

        return code_digest(one.fn) == code_digest(other.fn)
    from marin_build.identity.code.same_code import (
        same_code,  # reads source: only where steps are to be merged
    )

    return same_code(one.fn, other.fn)


def _path_errors(
    targets: Sequence[Target],
    suspects: Sequence[Target],
    refused: Container[StepSpec],
    workspace: Workspace,
) -> list[MarinBuildError]:
    """Return an error for every output path that equals, or lies inside, another's.

    Args:
        targets: all targets.
        suspects: those whose output may lie inside another one. Below one prefix only a name with a
            slash, or a version, can.
        refused: steps whose places are refused already.
        workspace: has the project.

    """
    if not suspects:
        return []
    by_path: dict[str, Target] = {}
    errors: list[MarinBuildError] = []
    for target in targets:
        other = target if target.step in refused else by_path.setdefault(target.output_path, target)
        if other is not target:
            errors.append(_nested(target, other, "and", workspace))
    for target in suspects:
        if target.step in refused:
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
