"""Builds of a step's name under a prefix, by their folders and records: no pipeline is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.identity.payload import HASHED_NAME
from marin_build.protocol import layout
from marin_build.protocol.record_reader import readable_record
from marin_build.protocol.status import STATUS_SUCCESS, readable_status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.protocol.record_reader import Built
    from marin_build.protocol.status import Status
    from marin_build.store.base import Store


@dataclass(frozen=True, slots=True)
class StoredOutput:
    """An output, as the files beside it show it.

    Args:
        name, target: the step's name and the target's id.
        path: the output path.
        status: None if there is none, or none that is readable.
        built: what its record says; None if none of ours is readable.

    """

    name: str
    target: str
    path: str
    status: Status | None
    built: Built | None

    @property
    def is_built(self) -> bool:
        """Whether it is finished."""
        return self.status == STATUS_SUCCESS

    @property
    def data(self) -> str:
        """Where its data lies: adopted data may lie elsewhere than the record."""
        return (self.built.adopted_from if self.built is not None else None) or self.path

    @property
    def end(self) -> str:
        """When it was built, as records write moments; empty if that is not known."""
        return self.built.end if self.built is not None else ""


def read_outputs(store: Store, places: Sequence[tuple[str, str, str]]) -> list[StoredOutput]:
    """Read the status and the record of some outputs, in one batch.

    Args:
        store: where they live.
        places: name, target id and output path of each.

    Raises:
        StoreError: the store cannot be read.

    """
    paths = [f"{path}/{file}" for *_, path in places for file in (layout.STATUS, layout.RECORD)]
    blobs = iter(store.get_many(paths))
    found = []
    for (name, target, path), status, record in zip(places, blobs, blobs, strict=True):
        said = readable_status(status.data if status is not None else None, path)
        built = readable_record(record.data if record is not None else None)
        found.append(StoredOutput(name, target, path, said, built))
    return found


def read_builds(store: Store, prefix: str, name: str) -> list[StoredOutput]:
    """Return the outputs of a name that are built, the newest first.

    The clocks of the machines that built them are compared.

    Raises:
        StoreError: the store cannot be read.

    """
    begun = read_begun(store, prefix, name)
    return [output for output in begun if output.is_built]


def read_begun(store: Store, prefix: str, name: str) -> list[StoredOutput]:
    """Return all outputs of a name that a run has begun, the newest builds first."""
    places = [
        (name, path.removeprefix(f"{prefix}/"), path)
        for start in (f"{prefix}/{name}_", f"{prefix}/{name}-")
        for path in store.folders(start)
        if (hashed := HASHED_NAME.fullmatch(path)) is not None and hashed["start"] == start
    ]
    above = f"{prefix}/{name}/"
    versions = [(name, f"{name}@{path.removeprefix(above)}", path) for path in store.folders(above)]
    found = [
        output
        for output in read_outputs(store, [*places, *versions])
        if output.status is not None and _is_of(output)
    ]
    return sorted(found, key=lambda output: (output.end, output.target), reverse=True)


def _is_of(output: StoredOutput) -> bool:
    """Return whether an output is that of its target: `name/other_1a2b3c4d` is no version."""
    built = output.built
    return built is None or not built.target or built.target == output.target
