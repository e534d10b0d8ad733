"""The manifest of a job as it is submitted, and recognised again in a cluster. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.engines.jobs import JobRefusedError
from marin_build.engines.kubernetes.labels import MANAGED, OURS, TARGET
from marin_build.engines.kubernetes.read_manifests import UnreadableManifestError, read_manifests
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from marin_build.engines.jobs import JobRequest
    from marin_build.engines.kubernetes.json_objects import Object

KINDS = ("Job", "JobSet")


def read_job(job: JobRequest) -> Object:
    """Return the Job or JobSet of a manifest.

    Raises:
        JobRefusedError: it holds none that could be found again, or other objects.

    """
    try:
        objects = read_manifests(job.spec)
    except UnreadableManifestError as error:
        raise _refused(job, printable(str(error))) from error
    if len(objects) != 1 or objects[0].get("kind") not in KINDS:
        raise _refused(job, "it is not one Job or JobSet; `submit.sh` submits others, too")
    (body,) = objects
    metadata = metadata_of(body)
    labels, annotations = metadata.get("labels"), metadata.get("annotations")
    is_ours = (
        metadata.get("name") == job.name
        and isinstance(labels, dict)
        and labels.get(MANAGED) == OURS
        and isinstance(annotations, dict)
        and TARGET in annotations
    )
    if not is_ours:
        raise _refused(job, "its name, labels or annotations are others")
    return body


def is_same(there: Object, body: Object) -> bool:
    """Return whether an object of a cluster is one of ours, for the target of a manifest."""
    ours, theirs = metadata_of(body), metadata_of(there)
    return (theirs.get("labels") or {}).get(MANAGED) == OURS and (
        theirs.get("annotations") or {}
    ).get(TARGET) == ours["annotations"][TARGET]


def metadata_of(thing: Object) -> Object:
    """Return the metadata of an object."""
    found = thing.get("metadata")
    return found if isinstance(found, dict) else {}


def _refused(job: JobRequest, reason: str) -> JobRefusedError:
    return JobRefusedError(
        f"the manifest of `{job.name}` is none of ours: {reason}",
        hint="a template must keep the block `metadata`, and one object",
    )
