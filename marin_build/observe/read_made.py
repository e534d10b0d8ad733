"""What the files beside many outputs say: state, what made each of them, and what it returned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.observe.read_builds import stored_output
from marin_build.protocol import layout
from marin_build.protocol.artifact import without_descriptor
from marin_build.protocol.beside import read_beside
from marin_build.protocol.recipe_reader import parse_recipe
from marin_build.untrusted_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from marin_build.observe.read_builds import StoredOutput
    from marin_build.protocol.recipe_reader import Recipe
    from marin_build.store.base import Store


_AT_ONCE = 1_000
"""Outputs whose files are in memory at a time."""
_FILES = (layout.STATUS, layout.RECORD, layout.ARTIFACT)


@dataclass(frozen=True, slots=True)
class MadeOutput:
    """An output, and the files beside it.

    Args:
        output: which one, and how its build ended.
        record: the bytes of its record; None if there is none.
        artifact: those of what its step returned, as JSON; None if it is not built, or that is
            nothing.
        marin_artifact: the bytes of the artifact file, which of Marin's outputs is a record, too.

    """

    output: StoredOutput
    record: bytes | None
    artifact: bytes | None
    marin_artifact: bytes | None

    @property
    def recipe(self) -> Recipe | None:
        """What made it; None if no readable record says."""
        return parse_recipe(self.record, self.marin_artifact)

    def returned(self) -> Any:
        """Return what its step returned, as JSON values; None if that is nothing.

        Raises:
            ValueError: it is not readable.

        """
        return parse_json(self.artifact) if self.artifact is not None else None


def read_made(store: Store, places: Sequence[tuple[str, str, str]]) -> Iterator[MadeOutput]:
    """Yield each output with what lies beside it; read in batches.

    Args:
        store: where they live.
        places: name, target id and output path of each.

    Raises:
        StoreError: the store cannot be read.

    """
    for start in range(0, len(places), _AT_ONCE):
        yield from _read(store, places[start : start + _AT_ONCE])


def _read(store: Store, places: Sequence[tuple[str, str, str]]) -> Iterator[MadeOutput]:
    found: list[tuple[StoredOutput, bytes | None]] = []
    artifacts: dict[str, bytes | None] = {}
    documents = read_beside(store, [path for *_, path in places], _FILES)
    for place, (status, record, artifact) in zip(places, documents, strict=True):
        found.append((stored_output(place, status, record), record))
        artifacts[place[2]] = artifact
    # The name that Marin's artifacts once had: where a record of ours lies, nothing was returned.
    marins = [
        each.path
        for each, _ in found
        if each.is_built and each.built is None and artifacts[each.path] is None
    ]
    if marins:
        olds = read_beside(store, marins, [layout.OLD_ARTIFACT])
        artifacts.update((path, old) for path, (old,) in zip(marins, olds, strict=True))
    for output, info in found:
        data = artifacts[output.path]
        value = without_descriptor(data) if output.is_built and data is not None else None
        yield MadeOutput(output, info, value, data if output.built is None else None)
