"""Builds of a step's name under a prefix, by their folders and records: no pipeline is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.observe.read_history import folders_by_start
from marin_build.protocol import layout
from marin_build.protocol.beside import read_beside
from marin_build.protocol.record_reader import readable_record
from marin_build.protocol.status import STATUS_SUCCESS, readable_status
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    documents = read_beside(store, [path for *_, path in places], (layout.STATUS, layout.RECORD))
    return [
        stored_output(place, status, record)
        for place, (status, record) in zip(places, documents, strict=True)
    ]


def stored_output(
    place: tuple[str, str, str], status: bytes | None, record: bytes | None
) -> StoredOutput:
    """Return an output, by name, id and path, as the bytes of its status and its record show it."""
    path = place[2]
    return StoredOutput(*place, readable_status(status, path), readable_record(record))


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
    found = read_outputs(store, list_places(store, prefix, [name]))
    return newest_first(output for output in found if output.status is not None)


def list_places(store: Store, prefix: str, names: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return name, id and path of every folder that may be an output of a name; none is read.

    Raises:
        StoreError: the store cannot be listed.

    """
    starts = {f"{prefix}/{name}{end}": name for name in names for end in "_-/"}
    found = folders_by_start(store, starts)
    places = []
    for start, name in starts.items():
        for path in found.get(start, ()):
            is_version = start.endswith("/")
            id_ = path.removeprefix(start if is_version else f"{prefix}/")
            places.append((name, f"{name}@{id_}" if is_version else id_, path))
    return places


def newest_first(outputs: Iterable[StoredOutput]) -> list[StoredOutput]:
    """Return outputs of one name, the newest builds first, without folders that are none of it.

    The clocks of the machines that built them are compared.
    """
    own = filter(_is_of, outputs)
    return sorted(own, key=lambda output: (output.end, output.target), reverse=True)


def _is_of(output: StoredOutput) -> bool:
    """Return whether an output is that of its target: `name/other_1a2b3c4d` is no version."""
    built = output.built
    return built is None or not built.target or built.target == output.target
