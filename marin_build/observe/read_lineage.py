"""An output and all it was made from, by the records beside them: no pipeline is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError
from marin_build.protocol.attempt_reader import parse_attempt, recorded
from marin_build.protocol.beside import read_beside
from marin_build.protocol.layout import ARTIFACT, RECORD, attempt_path
from marin_build.protocol.lineage import Ancestor
from marin_build.protocol.recipe_reader import made_from, parse_recipe
from marin_build.protocol.record_reader import readable_record
from marin_build.workspace.places import is_readable_from

if TYPE_CHECKING:
    from marin_build.protocol.attempt_reader import Committed
    from marin_build.store.base import Blob, Store


def read_lineage(target: str, path: str, prefix: str, store: Store) -> list[Ancestor]:
    """Return an output, then all it was made from, those nearest to it first; each once.

    There are two batches of requests for each generation, and not one for each output. What a
    record names at a place that this store cannot read is returned, and not read.

    Args:
        target: the id of the output.
        path: the output path.
        prefix: where outputs live whose place no record names.
        store: of the prefix.

    Raises:
        StoreError: the store cannot be read.

    """
    found: dict[str, Ancestor] = {}
    generation = {path: target}
    while generation:
        ancestors = _read(generation, store)
        found.update({ancestor.path: ancestor for ancestor in ancestors})
        generation = {}
        for ancestor in ancestors:
            for dep, place in made_from(ancestor.recipe, prefix):
                if place in found:
                    continue
                if is_readable_from(place, prefix):
                    generation[place] = dep
                else:
                    found[place] = Ancestor(dep, place, None, None, None)
    return list(found.values())


def _read(outputs: dict[str, str], store: Store) -> list[Ancestor]:
    paths = list(outputs)
    documents = read_beside(store, paths, (RECORD, ARTIFACT))
    read = [
        (path, readable_record(info), parse_recipe(info, artifact), recorded(info))
        for path, (info, artifact) in zip(paths, documents, strict=True)
    ]
    attempts = [
        attempt_path(path, built.attempt)
        for path, built, _, committed in read
        if built and built.attempt and committed is None
    ]
    ended = dict(zip(attempts, store.get_many(attempts), strict=True))
    return [
        Ancestor(
            outputs[path],
            path,
            built,
            recipe,
            committed
            or _committed(
                attempt := attempt_path(path, built.attempt if built else 0), ended.get(attempt)
            ),
        )
        for path, built, recipe, committed in read
    ]


def _committed(path: str, document: Blob | None) -> Committed | None:
    if document is None:
        return None
    try:
        return parse_attempt(document.data, path).committed
    except CorruptStateError:
        return None
