"""What an API server would refuse about a manifest, found without one. Pure.

It knows Jobs and JobSets; other objects it leaves to the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.engines.kubernetes.objects.jobs import job_violations
from marin_build.engines.kubernetes.objects.jobsets import jobset_violations
from marin_build.engines.kubernetes.objects.metadata import metadata_violations
from marin_build.engines.kubernetes.objects.schemas import SCHEMAS, read_object
from marin_build.engines.kubernetes.objects.violation import (
    NOT_FOUND,
    UNREADABLE,
    Violation,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from marin_build.engines.kubernetes.objects.violation import Fields

__all__ = ["Violation", "violations"]


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
    file = SCHEMAS.get((manifest.get("apiVersion", ""), manifest.get("kind", "")))
    if file is None:
        return []
    read, misread = read_object(manifest, file)
    found = list(_rule_violations(read, namespaces))
    paths = [one.field for one in misread]
    # What follows only from what could not be read is no second mistake.
    found = [one for one in found if not any(_is_at(one.field, path) for path in paths)]
    ranks = {UNREADABLE: 0, NOT_FOUND: 1}
    together = [*misread, *found]
    refused = [one for one in together if one.status >= UNREADABLE]
    taken = [one for one in together if one.status < UNREADABLE]
    return [*sorted(refused, key=lambda one: ranks.get(one.status, 2)), *taken]


def _is_at(field: str, path: str) -> bool:
    return field == path or field.startswith((f"{path}.", f"{path}["))


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
