"""The source that built outputs, read back from where records say that it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.code.document import CodeDocument, code_document_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marin_build.store.base import Blob


def source_paths(prefix: str, keys: Iterable[str | None]) -> dict[str, str]:
    """Return key -> path of documents; each once, in the order given."""
    return {key: code_document_path(prefix, key) for key in keys if key}


def parse_sources(read: Mapping[str, Blob | None]) -> dict[str, CodeDocument]:
    """Return the documents that are there and readable, by key.

    Of what is damaged, a change is still told, only not how.
    """
    found: dict[str, CodeDocument] = {}
    for key, blob in read.items():
        try:
            if blob is not None:
                found[key] = CodeDocument.from_bytes(blob.data)
        except ValueError:
            continue
    return found
