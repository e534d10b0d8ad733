"""From a kept output, and the value that its step returned, to a commit without a build."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.errors import NOTHING_WRITTEN, StoreError, UsageError
from marin_build.operations.building.run_session import end_syncing, make_session, syncing_of
from marin_build.operations.planning.choose_targets import choose
from marin_build.pipeline.bound_call import return_annotation
from marin_build.plan.decisions import Plan
from marin_build.plan.selection import only_one
from marin_build.plan.snapshot import Snapshot
from marin_build.protocol.artifact import artifact_value, parse_artifact
from marin_build.protocol.look import look
from marin_build.protocol.manifest import missing_output
from marin_build.protocol.newest_attempt import newest_attempt
from marin_build.protocol.returned_value import UnsavableError
from marin_build.run_step.commit_existing import Returned, commit_kept
from marin_build.run_step.kept_output import files_of, kept_before, listed
from marin_build.untrusted_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.apply.events import Event
    from marin_build.operations.loading.loading import Loaded
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
    returned_nothing: bool = False,
    on_event: Callable[[Event], None],
) -> CommittedTarget:
    """Commit the output of a step that did its work, and was not committed.

    Its store did not take it, or what it returned cannot be saved; then a person says what that is.

    Args:
        loaded: the pipeline and its store.
        selector: which target.
        artifact: what the step returned, as JSON; None: its attempt knows it, or it is nothing.
        returned_nothing: commit it as if the step returned nothing.
        on_event: gets warnings.

    Raises:
        UsageError: the selector selects several targets, or none; the target has no kept output;
            or the JSON is none, is missing, or does not fit what the step says it returns.
        StoppedError: another run holds the target, or its output is not as the step left it.
        StoreError: the store cannot be read or written.

    """
    index = only_one(
        selector, choose(loaded, [selector]), "is committed at a time", NOTHING_WRITTEN
    )
    target = loaded.targets.all[index]
    output = target.output_path
    newest = newest_attempt(loaded.store, output)
    kept = kept_before(
        loaded.store, output, max(newest, _held(loaded, output)) + 1, target.fingerprint
    )
    if kept is None:
        raise _nothing_kept(target)
    returned = None
    if artifact is not None:
        returned = Returned(_value(target.step, artifact))
    elif returned_nothing:
        returned = Returned(None)
    elif not kept.is_complete:
        raise UsageError(
            f"what `{target.name}` returned could not be saved",
            consequence=NOTHING_WRITTEN,
            hint="give one of --artifact FILE and --no-artifact",
        )
    publication = listed(loaded.store, output, kept)
    value = returned.artifact if returned is not None else publication.artifact
    if missing := missing_output(target.step.outputs, files_of(publication), value):
        raise UsageError(missing, facts=[("output", output)], consequence=NOTHING_WRITTEN)
    nothing = Plan(loaded.targets, (), (), frozenset(), Snapshot())
    session = make_session(loaded, nothing, {}, lease=True)
    syncing = syncing_of(loaded, session.run)
    try:
        record = commit_kept(session, index, returned)
    finally:
        end_syncing(syncing, on_event)
    if record is None:
        raise _nothing_kept(target)
    return CommittedTarget(target, record)


def _held(loaded: Loaded, output: str) -> int:
    """Return the attempt of a lease that stands there: that of a run which could not end it."""
    lease = look(loaded.store, output).lease
    return lease.attempt if lease is not None else 0


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
