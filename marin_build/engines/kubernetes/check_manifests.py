"""Holding rendered manifests against the rules of an API server, before anything is written. Pure.

What a step declares is checked before that, in its own words: see `check_steps`. What is left are
templates of the user's, and what nobody foresaw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from marin_build.engines.kubernetes.api_rules import LARGEST_OBJECT
from marin_build.engines.kubernetes.object_checks import violations_and_unrunnable
from marin_build.engines.kubernetes.objects.violation import ACCEPTED
from marin_build.engines.kubernetes.read_manifests import (
    UnreadableManifestError,
    read_manifests,
)
from marin_build.errors import SpecificationError
from marin_build.pipeline.resources import OwnTpuDevice
from marin_build.text.readable import bytes_text, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from marin_build.errors import Fact, MarinBuildError
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.pipeline.tpu_slices import TpuSlice

_MOST_NAMED = 8
_REFUSED = "a cluster would refuse {}"
_NEVER_RUN = "a cluster would take, and never run as it should, {}"


class Manifest(Protocol):
    """A rendered manifest: of a target, of a kind and name that `kubectl` knows it by."""

    @property
    def target(self) -> str: ...  # noqa: D102 - said above
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102


def problems_of_manifests(
    manifests: Iterable[Manifest], steps: Iterable[StepSpec]
) -> list[MarinBuildError]:
    """Return an error for each step whose manifest is wrong, with all that is wrong with it.

    Steps with the same mistakes share one: a mistake in a template is in each of them.

    Args:
        manifests: those of a plan.
        steps: its steps, which may declare slices that are not in our table.

    """
    devices = [step.resources.device for step in steps if step.resources is not None]
    slices = frozenset(device.own for device in devices if isinstance(device, OwnTpuDevice))
    found: dict[tuple[str, str, str, tuple[Fact, ...]], list[str]] = {}
    for manifest in manifests:
        template = f"kubernetes/{manifest.kind}.yaml.j2"
        for what, hint, facts in _problems_of(manifest, slices):
            found.setdefault((what, hint, template, facts), []).append(manifest.target)
    return [
        SpecificationError(
            what.format(_named(targets)),
            facts=[*facts, ("template", template)],
            consequence="nothing was written",
            hint=hint or None,
        )
        for (what, hint, template, facts), targets in found.items()
    ]


def _named(targets: list[str]) -> str:
    """Return the manifests of targets in words; of many, the first ones are named."""
    names = [f"`{target}`" for target in targets[:_MOST_NAMED]]
    if more := len(targets) - len(names):
        names.append(f"{more} more")
    if len(names) == 1:
        return f"the manifest of {names[0]}"
    return f"the manifests of {', '.join(names[:-1])} and {names[-1]}"


def _problems_of(
    manifest: Manifest, slices: frozenset[TpuSlice]
) -> Iterator[tuple[str, str, tuple[Fact, ...]]]:
    """Yield what is wrong with a manifest: a sentence, a hint and facts."""
    size = len(manifest.text.encode())
    if size > LARGEST_OBJECT:
        hint = "put long texts of its command into files, and declare them with source(...)"
        sizes = (("size", bytes_text(size)), ("at most", bytes_text(LARGEST_OBJECT)))
        yield "a cluster cannot store {}", hint, sizes
        return
    try:
        objects = read_manifests(manifest.text)
    except UnreadableManifestError as error:
        yield "kubectl cannot read {}", "", (("reason", printable(str(error))),)
        return
    if not any(_is_of_step(one, manifest) for one in objects):
        wanted = f"a {manifest.kind} of the name `{manifest.name}`"
        yield "the job of its step is not in {}", "", (("wanted", wanted),)
    for one in objects:
        wrong, never_run = violations_and_unrunnable(one, slices)
        refused = [each for each in wrong if each.status != ACCEPTED]
        silent = [each for each in wrong if each.status == ACCEPTED]
        for what, found in ((_REFUSED, refused), (_NEVER_RUN, [*silent, *never_run])):
            if found:
                yield what, "", tuple(("field", each.sentence) for each in found)


def _is_of_step(document: dict[str, Any], manifest: Manifest) -> bool:
    metadata = document.get("metadata")
    return (
        str(document.get("kind", "")).lower() == manifest.kind
        and isinstance(metadata, dict)
        and metadata.get("name") == manifest.name
    )
