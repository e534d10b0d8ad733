"""An output compared with a statement about its provenance, as another person may have sent it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.emit.provenance_statement import (
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    WHOLE_FOLDER,
    folder_digest,
)
from marin_build.errors import NotFoundError, UsageError
from marin_build.observe.digest_files import digest_file
from marin_build.operations.outputs.find_outputs import find_output
from marin_build.protocol.layout import ARTIFACT
from marin_build.protocol.manifest import manifest_of, without_nested
from marin_build.store.open_store import open_store
from marin_build.untrusted_json import array, parse_json, path_inside, table, text, texts
from marin_build.workspace.regular_files import read_regular

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.observe.read_builds import StoredOutput
    from marin_build.operations.loading.options import PipelineOptions

_LARGEST = 64 << 20
"""Bytes of a statement."""


@dataclass(frozen=True, slots=True)
class StatementVerdict:
    """How an output compares with a statement.

    Args:
        target: its id.
        place: where its data lies.
        compared: how many subjects were compared.
        differences: what differs, in words; empty if the statement is true of what lies there.

    """

    target: str
    place: str
    compared: int
    differences: tuple[str, ...]


def verify_statement(options: PipelineOptions, path: str) -> StatementVerdict:
    """Compare an output with the statement in a file: its contents, and which build it was.

    Args:
        options: name the prefix; the pipeline is not loaded.
        path: of the statement.

    Raises:
        UsageError: the file cannot be read, or is no statement of ours.
        NotFoundError: the output that it is about does not lie under the prefix.
        StoreError: the store cannot be read.

    """
    target, fingerprint, subjects = _read_statement(path)
    output, _ = find_output(options, target)
    if output.status is None:
        raise NotFoundError(
            f"`{target}` is not here",
            facts=[("looked at", output.path)],
            hint="outputs lie where they were built: see --prefix",
        )
    differences = []
    if output.built is None or output.built.fingerprint != fingerprint:
        differences.append("it has another fingerprint, or no record")
    digests = _digests(output, [name for name, _ in subjects])
    known = {name for name, _ in subjects}
    if known != {WHOLE_FOLDER}:
        differences += [f"`{name}` is new" for name in digests if name not in known]
    for name, stated in sorted(subjects, key=lambda subject: subject[0] == WHOLE_FOLDER):
        found = digests.get(name, {})
        if stated and all(found.get(kind) == digest for kind, digest in stated.items()):
            continue
        if name != WHOLE_FOLDER:
            differences.append(f"`{name}` has other bytes" if found else f"`{name}` is missing")
        elif not differences:
            differences.append("its files are others, or have other bytes")
    return StatementVerdict(output.target, output.data, len(subjects), tuple(differences))


def _read_statement(path: str) -> tuple[str, str, list[tuple[str, dict[str, str]]]]:
    """Return the target, its fingerprint, and name and digests of each subject."""
    try:
        document = table(parse_json(read_regular(path, _LARGEST)))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(
            f"the statement `{path}` cannot be read", facts=[("reason", reason or "unknown")]
        ) from error
    try:
        found = _parsed(document)
    except (KeyError, ValueError):
        found = None
    if found is None:
        raise UsageError(
            f"`{path}` is no statement about an output of marin-build",
            hint="`marin-build provenance TARGET -o FILE` writes one",
        )
    return found


def _parsed(
    document: Mapping[str, Any],
) -> tuple[str, str, list[tuple[str, dict[str, str]]]] | None:
    """Return the target, its fingerprint, and the subjects; None of another kind of statement."""
    if (document["_type"], document["predicateType"]) != (STATEMENT_TYPE, PREDICATE_TYPE):
        return None
    definition = table(table(document["predicate"])["buildDefinition"])
    parameters = table(definition["externalParameters"])
    subjects = [_subject(table(each)) for each in array(document["subject"])]
    if not subjects:
        return None
    return text(parameters["target"]), text(parameters["fingerprint"]), subjects


def _subject(each: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    name = text(each["name"])
    return name if name == WHOLE_FOLDER else path_inside(name), dict(texts(each["digest"]))


def _digests(output: StoredOutput, wanted: list[str]) -> dict[str, dict[str, str]]:
    """Return name -> digests of what lies there, of the whole folder if that is a subject."""
    store = open_store(output.data)
    listed = manifest_of(store, output.data)
    own = without_nested([file.path for file in listed], listed)
    files = {path: digest_file(store, f"{output.data}/{path}") for path in own}
    found = {path: {"sha256": digest} for path, digest in files.items()}
    if WHOLE_FOLDER in wanted and (whole := folder_digest(files)) is not None:
        found[WHOLE_FOLDER] = {"dirHash": whole}
    artifact = digest_file(open_store(output.path), f"{output.path}/{ARTIFACT}")
    return found | ({ARTIFACT: {"sha256": artifact}} if artifact else {})
