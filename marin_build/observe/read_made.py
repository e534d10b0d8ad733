"""What the files beside many outputs say: state, what made each of them, and what it returned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.observe.read_builds import StoredOutput
from marin_build.protocol import layout
from marin_build.protocol.artifact import without_descriptor
from marin_build.protocol.recipe_reader import parse_recipe
from marin_build.protocol.record_reader import readable_record
from marin_build.protocol.status import readable_status
from marin_build.text.readable import bytes_text
from marin_build.untrusted_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from marin_build.protocol.recipe_reader import Recipe
    from marin_build.store.base import Blob, Store


_FILES = (layout.STATUS, layout.RECORD, layout.ARTIFACT, layout.OLD_ARTIFACT)
_AT_ONCE = 200
"""Outputs whose files are in memory at the same time: each may be large."""
_LONGEST = 64 << 10
"""Bytes of the longest artifact that is kept."""


@dataclass(frozen=True, slots=True)
class MadeOutput:
    """An output, and what its record and its artifact say.

    Args:
        output: which one, and how its build ended.
        recipe: what made it; None if no readable record says.
        returned: what its step returned, as JSON values; None if that is nothing.
        problem: why that is not here although there is something; empty if it is.

    """

    output: StoredOutput
    recipe: Recipe | None
    returned: Any
    problem: str = ""


def read_made(store: Store, places: Sequence[tuple[str, str, str]]) -> Iterator[MadeOutput]:
    """Yield what is known of each output; read in batches.

    Args:
        store: where they live.
        places: name, target id and output path of each.

    Raises:
        StoreError: the store cannot be read.

    """
    for start in range(0, len(places), _AT_ONCE):
        some = places[start : start + _AT_ONCE]
        paths = [f"{path}/{file}" for *_, path in some for file in _FILES]
        blobs = iter(store.get_many(paths))
        for (name, target, path), *files in zip(some, blobs, blobs, blobs, blobs, strict=True):
            yield _made(name, target, path, files)


def _made(name: str, target: str, path: str, files: Sequence[Blob | None]) -> MadeOutput:
    status, info, artifact, old = (blob.data if blob is not None else None for blob in files)
    said = readable_status(status, path)
    output = StoredOutput(name, target, path, said, readable_record(info))
    returned, problem = _returned([data for data in (artifact, old) if data is not None])
    return MadeOutput(output, parse_recipe(info, artifact), returned, problem)


def _returned(found: Sequence[bytes]) -> tuple[Any, str]:
    """Return what a step returned, from the first file that holds it, and why it is not here."""
    for data in found:
        value = without_descriptor(data)
        if value is None:
            continue
        if len(value) > _LONGEST:
            return None, f"{bytes_text(len(value))} of JSON"
        try:
            return parse_json(value, constant=str), ""
        except ValueError as error:
            return None, f"not readable: {error}"
    return None, ""
