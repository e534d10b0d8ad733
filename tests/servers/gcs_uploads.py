"""Bodies of uploads: the two parts of a multipart one, the chunks of a resumable one.

Published at https://cloud.google.com/storage/docs/uploading-objects (multipart) and
/docs/performing-resumable-uploads.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from .gcs_objects import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping


def split_multipart(content_type: str, body: bytes) -> tuple[dict[str, Any], str | None, bytes]:
    """Return the metadata, the media's content type and the media of `multipart/related`.

    MIME asks for CRLF; Google also takes the bare LF that gcsfs sends. The first line decides.
    """
    named = re.search(r'boundary=(?:"([^"]+)"|([^;\s]+))', content_type)
    if named is None:
        raise Refusal(400, "Missing boundary in the multipart request.")
    boundary = b"--" + (named[1] or named[2]).encode()
    start = body.find(boundary)
    if start < 0:
        raise Refusal(400, "Malformed multipart body.")
    body = body[start + len(boundary) :]
    line_end = b"\r\n" if body.startswith(b"\r\n") else b"\n"
    # The media comes last and may hold anything: its end is the last delimiter, not the next.
    metadata_part, found, media_part = body.partition(line_end + boundary + line_end)
    end = media_part.rfind(line_end + boundary + b"--")
    if not found or end < 0:
        raise Refusal(400, "Malformed multipart body.")
    _, metadata = _split_part(metadata_part, line_end)
    headers, media = _split_part(line_end + media_part[:end], line_end)
    typed = re.search(r"(?im)^content-type:\s*(.+?)\s*$", headers)
    return parse_json(metadata), typed[1] if typed else None, media


def parse_json(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body; an empty one is empty."""
    try:
        parsed = json.loads(body) if body.strip() else {}
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise Refusal(400, "Parse Error")
    return parsed


def _split_part(part: bytes, line_end: bytes) -> tuple[str, bytes]:
    part = part.removeprefix(line_end)
    if part.startswith(line_end):
        return "", part[len(line_end) :]
    headers, found, content = part.partition(line_end * 2)
    if not found:
        raise Refusal(400, "Malformed multipart body.")
    return headers.decode(), content


@dataclass(slots=True)
class ResumableUpload:
    """A resumable upload under way; its preconditions are judged when it is complete."""

    bucket: str
    name: str
    query: dict[str, str]
    properties: dict[str, Any]
    identity: str = field(default_factory=lambda: uuid4().hex)
    data: bytearray = field(default_factory=bytearray)

    def receive(self, content_range: str | None, body: bytes) -> bool:
        """Take a chunk and say whether the object is complete.

        `bytes 0-9/20`, `bytes 0-9/*` and, asking how far it is, `bytes */20` are understood. Bytes
        that are here already are skipped: a chunk resent after a lost reply does no harm.
        """
        if content_range is None:
            self.data[:] = body
            return True
        asked = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", content_range.strip())
        if asked is None:
            raise Refusal(400, f"Failed to parse Content-Range header: {content_range}")
        total = None if asked[3] == "*" else int(asked[3])
        if asked[1] is not None:
            first = int(asked[1])
            if first > len(self.data):
                raise Refusal(503, "A chunk is missing.")
            self.data += body[len(self.data) - first :]
        return total is not None and len(self.data) >= total

    def progress(self) -> Mapping[str, str]:
        """Return the header of a 308 that says what has arrived."""
        return {"Range": f"bytes=0-{len(self.data) - 1}"} if self.data else {}
