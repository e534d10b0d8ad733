"""From a kept output and the value that its step returned to a commit, without building again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.errors import NOTHING_WRITTEN, StoreError, UsageError
from marin_build.operations.plan import choose
from marin_build.operations.run_session import end_syncing, make_session, syncing_of
from marin_build.pipeline.bound_call import return_annotation
from marin_build.plan.decisions import Plan
from marin_build.plan.selection import only_one
from marin_build.plan.snapshot import Snapshot
from marin_build.protocol.artifact import artifact_value, parse_artifact
from marin_build.protocol.held_target import newest_attempt
from marin_build.protocol.manifest import missing_output
from marin_build.protocol.returned_value import UnsavableError
from marin_build.run_step.commit_existing import commit_kept
from marin_build.run_step.kept_output import files_of, kept_before
from marin_build.untrusted_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.apply.events import Event
    from marin_build.operations.loading import Loaded
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.pipeline.targets import Target
    from marin_build.protocol.documents import Record


LARGEST_ARTIFACT = 64 << 20
"""Bytes of the largest JSON file that is read."""


@dataclass(frozen=True, slots=True)
class CommittedTarget:
    """A target whose kept output was committed; `record` is what stands beside it."""

    target: Target
    record: Record


def commit_target(
    loaded: Loaded,
    selector: str,
    artifact: bytes | None,
    *,
    on_event: Callable[[Event], None],
) -> CommittedTarget:
    """Commit the output of a step that did its work, but returned what cannot be saved.

    Args:
        loaded: the pipeline and its store.
        selector: which target.
        artifact: what the step returned, as JSON; None: it is committed as if it returned nothing.
        on_event: gets warnings.

    Raises:
        UsageError: the selector selects several targets, or none; the target has no kept output;
            or the JSON is none, or does not fit what the step says it returns.
        StoppedError: another run holds the target, or its output is not as the step left it.
        StoreError: the store cannot be read or written.

    """
    index = only_one(
        selector, choose(loaded, [selector]), "is committed at a time", NOTHING_WRITTEN
    )
    target = loaded.targets.all[index]
    output = target.output_path
    kept = kept_before(loaded.store, output, newest_attempt(loaded.store, output) + 1)
    if kept is None:
        raise _nothing_kept(target)
    value = _value(target.step, artifact) if artifact is not None else None
    if missing := missing_output(target.step.outputs, files_of(kept), value):
        raise UsageError(missing, facts=[("output", output)], consequence=NOTHING_WRITTEN)
    nothing = Plan(loaded.targets, (), (), frozenset(), Snapshot())
    session = make_session(loaded, nothing, {}, lease=True)
    syncing = syncing_of(loaded, session.run)
    try:
        record = commit_kept(session, index, value, has_artifact=value is not None)
    finally:
        end_syncing(syncing, on_event)
    if record is None:
        raise _nothing_kept(target)
    return CommittedTarget(target, record)


def _nothing_kept(target: Target) -> UsageError:
    return UsageError(
        f"`{target.id}` has no output that waits to be committed",
        facts=[("output", target.output_path)],
        consequence=NOTHING_WRITTEN,
        hint="marin-build plan says how it stands",
    )


def _value(step: StepSpec, artifact: bytes) -> Any:
    """Return JSON values that the step may have returned.

    Raises:
        UsageError: they are none, or do not fit what it says it returns.

    """
    annotation = return_annotation(step.fn)
    try:
        if annotation is None or annotation is Any:
            return artifact_value(parse_json(artifact))
        value = parse_artifact(artifact, annotation, "given")
        return artifact_value(value, lambda: annotation)
    except (ValueError, RecursionError, UnsavableError, StoreError) as error:
        why = error.facts[0][1] if isinstance(error, StoreError) and error.facts else str(error)
        shown = getattr(annotation, "__name__", str(annotation or "JSON value"))
        raise UsageError(
            f"the artifact is no {shown}, which `{step.name}` returns",
            facts=[("reason", why)],
            consequence=NOTHING_WRITTEN,
        ) from None
