"""What made an output and from what, as a statement for other tools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.emit.provenance_statement import Subject, provenance_statement
from marin_build.errors import NotFoundError, StoppedError
from marin_build.observe.digest_files import digest_file
from marin_build.observe.read_lineage import read_lineage
from marin_build.operations.outputs.find_outputs import find_output
from marin_build.pipeline.source_listings import listing_path
from marin_build.protocol.layout import ARTIFACT
from marin_build.protocol.manifest import manifest_of, without_nested
from marin_build.store.open_store import open_store
from marin_build.text.readable import bytes_text, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.operations.outputs.find_outputs import FoundOutputs
    from marin_build.protocol.lineage import Ancestor
    from marin_build.store.base import Store


LARGEST_READ = 1 << 30
"""Bytes of a file that is read because no digest of it was recorded."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """The statement about an output.

    Args:
        statement: as JSON values.
        found: how the output was found.
        notes: what a reader of the statement should know, in words.

    """

    statement: dict[str, Any]
    found: FoundOutputs
    notes: tuple[str, ...]


def state_provenance(options: PipelineOptions, word: str) -> Provenance:
    """Return what made an output and from what, to the sources, by the records in the store.

    Files without a recorded digest are read, if they have the size that was committed.

    Args:
        options: name the pipeline and its prefix.
        word: a selector of one target, or a word that names one identity.

    Raises:
        NotFoundError: it is not built, there is nothing to state, or no record of ours is there.
        StoppedError: its files are not those that were committed, or too large to be read.
        UsageError: it names no output, or several.
        StoreError: a store cannot be read.

    """
    output, found = find_output(options, word)
    if not output.is_built:
        raise NotFoundError(f"`{output.target}` is not built", facts=[("looked at", output.path)])
    if output.built is None:
        raise NotFoundError(
            f"no record of marin-build says what made `{output.target}`",
            facts=[("looked at", output.path)],
            hint=f"marin-build show {output.target}",
        )
    lineage = read_lineage(output.target, output.path, found.prefix, found.store)
    subject, read = _subject(lineage[0])
    if not subject.files and subject.artifact is None:
        raise NotFoundError(
            f"`{output.target}` has no files and returned nothing: there is nothing to state",
            facts=[("looked at", output.path)],
        )
    folders = _folders(found.store, found.prefix, lineage)
    statement = provenance_statement(lineage, subject, folders)
    return Provenance(statement, found, tuple(_notes(lineage, read)))


def _subject(output: Ancestor) -> tuple[Subject, int]:
    """Return an output's files with their digests, and how many of them were read for that."""
    store = open_store(output.data)
    listed = manifest_of(store, output.data)
    own = set(without_nested([file.path for file in listed], listed))
    sizes = {file.path: file.size for file in listed if file.path in own}
    committed = output.committed
    if committed is not None and dict(committed.manifest) != sizes:
        raise StoppedError(
            f"`{output.target}` has other files than were committed",
            facts=[("looked at", output.data)],
            consequence="how these files were made is not known, so nothing was stated",
            hint="`marin-build verify` names the files that differ",
        )
    recorded = committed.digests if committed is not None else {}
    unknown = [path for path in sizes if path not in recorded]
    for path in unknown:
        if sizes[path] > LARGEST_READ:
            raise StoppedError(
                f"no digest of `{path}` was recorded, and its {bytes_text(sizes[path])} are not "
                "read for that",
                facts=[("output", output.data)],
                hint="build with `digests = true` in [tool.marin-build]",
            )
    digests = {path: recorded[path] for path in sizes if path in recorded}
    digests |= {path: digest_file(store, f"{output.data}/{path}") for path in unknown}
    artifact = digest_file(open_store(output.path), f"{output.path}/{ARTIFACT}") or None
    return Subject(digests, artifact), len(unknown)


def _folders(store: Store, prefix: str, lineage: Sequence[Ancestor]) -> frozenset[str]:
    """Return those digests of sources whose listing is kept: they are folders."""
    digests = {
        digest
        for ancestor in lineage
        if ancestor.recipe is not None
        for digest in ancestor.recipe.inputs.values()
        if digest.isalnum()
    }
    ordered = sorted(digests)
    blobs = store.get_many([listing_path(prefix, digest) for digest in ordered])
    return frozenset(d for d, blob in zip(ordered, blobs, strict=True) if blob is not None)


def _notes(lineage: Sequence[Ancestor], read: int) -> list[str]:
    notes = []
    if read:
        files = "file was" if read == 1 else "files were"
        notes.append(
            f"{read} {files} read: no digest was recorded when they were built "
            "(`digests = true` in [tool.marin-build])"
        )
    recipe = lineage[0].recipe
    if recipe is not None and recipe.is_dirty:
        notes.append("the code had changes that were not committed")
    missing = [ancestor.target for ancestor in lineage if ancestor.recipe is None]
    if missing:
        notes.append(f"no record says what made {printable(', '.join(missing[:5]))}")
    return notes
