"""What an API server would refuse about a manifest, or take and never run, found without one. Pure.

It knows Jobs and JobSets; other objects it leaves to the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.engines.kubernetes.objects.jobs import job_violations
from marin_build.engines.kubernetes.objects.jobsets import jobset_violations
from marin_build.engines.kubernetes.objects.metadata import metadata_violations
from marin_build.engines.kubernetes.objects.schemas import SCHEMAS, read_object
from marin_build.engines.kubernetes.objects.unrunnable import (
    job_that_cannot_run,
    jobset_that_cannot_run,
)
from marin_build.engines.kubernetes.objects.violation import (
    NOT_FOUND,
    UNREADABLE,
    Violation,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from marin_build.engines.kubernetes.objects.violation import Fields
    from marin_build.pipeline.tpu_slices import TpuSlice

__all__ = ["Violation", "unrunnable", "violations", "violations_and_unrunnable"]


def violations(
    manifest: Mapping[str, Any], namespaces: Collection[str] | None = None
) -> list[Violation]:
    """Return everything that is wrong with a Job or a JobSet, the server's answer first.

    A server that cannot read an object says nothing else about it, and looks for its namespace
    before it looks at its values: the first violation has the status of its answer. One of 201
    says that the server takes the object: so it does with a JobSet whose Jobs it refuses.

    Args:
        manifest: the object.
        namespaces: those that there are; None: unknown. Without one, an object is in `default`.

    """
    read = _read(manifest)
    return _violations_of(*read, namespaces) if read is not None else []


def unrunnable(
    manifest: Mapping[str, Any], slices: frozenset[TpuSlice] = frozenset()
) -> list[Violation]:
    """Return why a Job or a JobSet that a server takes could not run, or not as it was meant.

    What `violations` returns is not repeated. The status of all is 201.

    Args:
        manifest: the object.
        slices: TPU slices that are not in our table.

    """
    read = _read(manifest)
    return _unrunnable_of(*read, slices) if read is not None else []


def violations_and_unrunnable(
    manifest: Mapping[str, Any], slices: frozenset[TpuSlice]
) -> tuple[list[Violation], list[Violation]]:
    """Return what `violations` and `unrunnable` return, in half the time."""
    read = _read(manifest)
    if read is None:
        return [], []
    return _violations_of(*read, None), _unrunnable_of(*read, slices)


def _read(manifest: Mapping[str, Any]) -> tuple[Fields, list[Violation]] | None:
    """Return a Job or JobSet as a server reads it, and what it cannot read; None: another."""
    file = SCHEMAS.get((str(manifest.get("apiVersion")), str(manifest.get("kind"))))
    return read_object(manifest, file) if file is not None else None


def _violations_of(
    read: Fields, misread: list[Violation], namespaces: Collection[str] | None
) -> list[Violation]:
    further = _further(_rule_violations(read, namespaces), misread)
    return sorted([*misread, *further], key=_in_order_of_answers)


def _unrunnable_of(
    read: Fields, misread: list[Violation], slices: frozenset[TpuSlice]
) -> list[Violation]:
    spec = read.get("spec", {})
    if read.get("kind") == "Job":
        return _further(job_that_cannot_run(spec, "spec", slices), misread)
    return _further(jobset_that_cannot_run(spec, slices), misread)


def _further(found: Iterable[Violation], misread: list[Violation]) -> list[Violation]:
    """Return violations without those that only follow from what could not be read."""
    paths = [one.field for one in misread]
    return [one for one in found if not any(_is_at(one.field, path) for path in paths)]


def _is_at(field: str, path: str) -> bool:
    return field == path or field.startswith((f"{path}.", f"{path}["))


def _in_order_of_answers(violation: Violation) -> int:
    if violation.status < UNREADABLE:
        return 3
    return {UNREADABLE: 0, NOT_FOUND: 1}.get(violation.status, 2)


def _rule_violations(read: Fields, namespaces: Collection[str] | None) -> Iterator[Violation]:
    metadata, spec = read.get("metadata", {}), read.get("spec", {})
    namespace = metadata.get("namespace") or "default"
    if namespaces is not None and namespace not in namespaces:
        yield Violation("metadata.namespace", f"{shown(namespace)} is not there", NOT_FOUND)
    yield from metadata_violations(metadata)
    name = metadata.get("name", "")
    if read.get("kind") == "Job":
        yield from job_violations(name, spec, "spec")
    else:
        yield from jobset_violations(name, spec)
