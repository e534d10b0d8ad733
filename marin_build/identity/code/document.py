"""The normalised source of a step as a document, kept once under `.marin-build/code/`."""

from __future__ import annotations

import functools
import hashlib
import json
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from marin_build.identity.code.syntax import digest_of_text
from marin_build.untrusted_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marin_build.identity.code.digest import Code
    from marin_build.identity.code.function_code import Closure
    from marin_build.identity.code.part import Part


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PartDocument(_Document):
    """A function, class or constant. `via` are the names from the step's function to it."""

    kind: Literal["function", "class", "constant"]
    digest: str
    source: str
    via: tuple[str, ...]


class CodeDocument(_Document):
    """All first-party code of a step, and what else it depends on.

    Args:
        digest: over the digests of the parts; captured values are in the record.
        parts: by qualified name.
        unseen: what cannot be followed without running it, and where it stands.

    """

    schema_version: Literal[1] = 1
    digest: str
    parts: dict[str, PartDocument]
    unseen: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """Return the document as JSON: the same bytes for the same code."""
        return (json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> CodeDocument:
        """Return the document in JSON.

        Raises:
            ValueError: it is none.

        """
        return cls.model_validate(parse_json(data))

    @functools.cached_property
    def key(self) -> str:
        """The sha-256 of its bytes, which names its file."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def code_document_path(prefix: str, key: str) -> str:
    """Return where the document with this key is kept under a prefix."""
    return f"{prefix}/.marin-build/code/{key}.json"


def code_document(code: Code) -> CodeDocument:
    """Return the document of a step's code; equal code has one document in a process."""
    key = (code.closures, code.unseen)
    if key not in _documents:
        _documents[key] = _make(code.closures, code.unseen)
    return _documents[key]


_Closures = tuple[tuple[tuple[str, ...], "Closure"], ...]
_documents: dict[tuple[_Closures, tuple[str, ...]], CodeDocument] = {}


def _make(closures: _Closures, held: tuple[str, ...]) -> CodeDocument:
    parts: dict[str, PartDocument] = {}
    sources: dict[Part, None] = {}
    unseen: dict[str, None] = {}
    for prefix, closure in closures:
        for part, via in closure.parts:
            if part not in sources:
                sources[part] = None
                parts[_free_name(part, parts)] = PartDocument(
                    kind=part.kind, digest=part.digest, source=part.source, via=(*prefix, *via)
                )
        unseen |= dict.fromkeys(closure.unseen)
    return CodeDocument(
        digest=digest_of_text(json.dumps([closure.digest for _, closure in closures])),
        parts=parts,
        unseen=(*unseen, *held),
    )


def _free_name(part: Part, parts: Mapping[str, Any]) -> str:
    """Return the name of a part; two lambdas of one place have one name and get numbers."""
    name, number = part.name, 1
    while name in parts:
        number += 1
        name = f"{part.name}#{number}"
    return name


def source_paths(prefix: str, keys: Iterable[str | None]) -> dict[str, str]:
    """Return key -> path of documents; each once, in the order given."""
    return {key: code_document_path(prefix, key) for key in keys if key}


def parse_sources(read: Mapping[str, bytes | None]) -> dict[str, CodeDocument]:
    """Return the documents that are there and readable, by key.

    Without a damaged document a plan still reports that the code changed, but not how.
    """
    found: dict[str, CodeDocument] = {}
    for key, data in read.items():
        try:
            if data is not None:
                found[key] = CodeDocument.from_bytes(data)
        except ValueError:
            continue
    return found
