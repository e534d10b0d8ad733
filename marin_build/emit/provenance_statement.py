"""Provenance of an output as a statement that other tools read: in-toto and SLSA. Pure.

The forms are published: a Statement (https://in-toto.io/Statement/v1), digests and resources as
the attestation framework of in-toto has them, and the predicate https://slsa.dev/provenance/v1.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.protocol.layout import ARTIFACT
from marin_build.text.secret_shapes import masked_text, masked_value
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from marin_build.protocol.lineage import Ancestor
    from marin_build.protocol.record_reader import Built

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:marin-build:step:1"
"""Says what the parameters below mean; docs/how-to/state-the-provenance.md describes it."""
WHOLE_FOLDER = "."
"""The name of the subject that stands for all files of an output."""
MOST_FILES = 1_000
"""Files that are subjects of their own; of more, the folder is one."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about.

    Args:
        files: path inside the output -> sha-256 in hex.
        artifact: sha-256 of `.artifact.json`; None if the step returned nothing.

    """

    files: Mapping[str, str]
    artifact: str | None


def provenance_statement(
    lineage: Sequence[Ancestor], subject: Subject, folders: frozenset[str]
) -> dict[str, Any]:
    """Return the statement about an output, as JSON values.

    Args:
        lineage: the output first, then all it was made from. The output has a record of ours.
        subject: its files, with their digests.
        folders: digests of sources that are folders.

    """
    output = lineage[0]
    built = output.built
    assert built is not None
    return {
        "_type": STATEMENT_TYPE,
        "subject": list(_subjects(subject)),
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": _parameters(output),
                "internalParameters": {
                    "environment": masked_value(built.environment or {}),
                    "codeDigest": built.code_digest or "",
                },
                "resolvedDependencies": list(_dependencies(lineage, folders)),
            },
            "runDetails": {
                "builder": {"id": f"urn:marin-build:worker:{masked_text(built.worker)}"},
                "metadata": {"invocationId": f"{built.run}/{built.attempt}", **_moments(built)},
            },
        },
    }


def folder_digest(files: Mapping[str, str]) -> str | None:
    """Return the digest of a folder; None if a name in it has a line break.

    It is what in-toto calls `dirHash`: the sha-256 of lines `<sha-256>  <path>`, sorted by path.

    Args:
        files: path -> sha-256 in hex.

    """
    if any("\n" in path for path in files):
        return None
    lines = "".join(f"{digest}  {path}\n" for path, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()


def _subjects(subject: Subject) -> Iterator[dict[str, Any]]:
    whole = folder_digest(subject.files) if subject.files else None
    if whole is not None:
        yield {"name": WHOLE_FOLDER, "digest": {"dirHash": whole}}
    if len(subject.files) <= MOST_FILES or whole is None:
        for path, digest in sorted(subject.files.items()):
            yield {"name": path, "digest": {"sha256": digest}}
    if subject.artifact is not None:
        yield {"name": ARTIFACT, "digest": {"sha256": subject.artifact}}


def _parameters(output: Ancestor) -> dict[str, Any]:
    recipe, built = output.recipe, output.built
    assert built is not None
    parameters: dict[str, Any] = {"target": output.target, "fingerprint": built.fingerprint}
    if recipe is not None:
        kind = "command" if recipe.is_command else "function"
        if recipe.made_by is not None:
            parameters[kind] = masked_text(recipe.made_by)
        parameters["attributes"] = masked_value(dict(recipe.attributes))
        parameters["commandLine"] = [masked_text(word) for word in recipe.argv]
    return parameters


def _moments(built: Built) -> dict[str, str]:
    return {"finishedOn": built.end} if built.end else {}


def _dependencies(lineage: Sequence[Ancestor], folders: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Yield the code, then outputs that it was made from, then the sources of all of them."""
    output = lineage[0]
    if output.recipe is not None and output.recipe.commit is not None:
        yield {
            "name": "code",
            "digest": {"gitCommit": output.recipe.commit},
            "annotations": {"hasUncommittedChanges": bool(output.recipe.is_dirty)},
        }
    for ancestor in lineage[1:]:
        yield _output(ancestor)
    sources: dict[tuple[str, str], None] = {}
    for ancestor in lineage:
        inputs = ancestor.recipe.inputs if ancestor.recipe is not None else {}
        sources.update(dict.fromkeys(inputs.items()))
    for name, digest in sources:
        yield _source(name, digest, folders)


def _output(ancestor: Ancestor) -> dict[str, Any]:
    found: dict[str, Any] = {"name": ancestor.target}
    if is_url(ancestor.data):
        found["uri"] = masked_text(ancestor.data)
    if (committed := ancestor.committed) is not None and committed.manifest:
        is_whole = all(file.path in committed.digests for file in committed.manifest)
        digest = folder_digest(committed.digests) if is_whole else None
        if digest is not None:
            found["digest"] = {"dirHash": digest}
    if ancestor.built is not None:
        found["annotations"] = {
            "fingerprint": ancestor.built.fingerprint,
            "run": ancestor.built.run,
            "codeDigest": ancestor.built.code_digest or "",
        }
    return found


def _source(name: str, digest: str, folders: frozenset[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": masked_text(name)}
    if is_url(name):
        found["uri"] = masked_text(name)
    kind = "dirHash" if digest in folders else "sha256" if _is_sha256(digest) else "marinBuild"
    return found | {"digest": {kind: digest}}


def _is_sha256(digest: str) -> bool:
    return len(digest) == _SHA256 and set(digest) <= set("0123456789abcdef")


_SHA256 = 64
