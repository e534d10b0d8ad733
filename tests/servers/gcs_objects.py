"""What a Cloud Storage bucket holds, and the published rules by which it changes.

Pure state, no HTTP: the rules of generations, preconditions and listings of the JSON API
(https://cloud.google.com/storage/docs/json_api/v1, /docs/request-preconditions, /docs/objects).
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from time import time_ns
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import google_crc32c

if TYPE_CHECKING:
    from collections.abc import Mapping

_SETTABLE = (
    "cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "contentType",
    "customTime", "metadata", "storageClass",
)  # fmt: skip
_REASONS = {
    304: "notModified", 400: "invalid", 401: "required", 403: "forbidden", 404: "notFound",
    409: "conflict", 412: "conditionNotMet",
    416: "requestedRangeNotSatisfiable", 429: "rateLimitExceeded", 501: "notImplemented",
    503: "backendError",
}  # fmt: skip


class Refusal(Exception):  # noqa: N818 - an answer, not a failure
    """An answer that is an error: its HTTP status and the document that goes with it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        reason = _REASONS[status]
        self.document = {
            "error": {
                "code": status,
                "message": message,
                "errors": [{"message": message, "domain": "global", "reason": reason}],
            }
        }


@dataclass(frozen=True, slots=True)
class Conditions:
    """The preconditions of a request; None where it has none."""

    generation_is: int | None = None
    generation_is_not: int | None = None
    metageneration_is: int | None = None
    metageneration_is_not: int | None = None

    @classmethod
    def parse(cls, query: Mapping[str, str], infix: str = "") -> Conditions:
        """Read them from a query: `ifGenerationMatch`, or `ifSourceGenerationMatch` ..."""

        def number(name: str) -> int | None:
            text = query.get(f"if{infix}{name}")
            if text is None:
                return None
            if not re.fullmatch(r"-?[0-9]+", text):
                raise Refusal(400, f"Invalid value for if{infix}{name}: {text}")
            return int(text)

        return cls(
            number("GenerationMatch"),
            number("GenerationNotMatch"),
            number("MetagenerationMatch"),
            number("MetagenerationNotMatch"),
        )

    def check(self, found: Stored | None, *, reading: bool = False) -> None:
        """Refuse unless they hold for what is live; no object has the generation 0."""
        generation = found.generation if found else 0
        metageneration = found.metageneration if found else 0
        if self.generation_is not in (None, generation) or self.metageneration_is not in (
            None,
            metageneration,
        ):
            raise _UNMET
        if generation == self.generation_is_not or metageneration == self.metageneration_is_not:
            raise Refusal(304, "Not Modified") if reading else _UNMET


_UNMET = Refusal(412, "At least one of the pre-conditions you specified did not hold.")


@dataclass(frozen=True, slots=True)
class Stored:
    """A live object."""

    bucket: str
    name: str
    data: bytes
    generation: int
    created: str
    updated: str
    metageneration: int = 1
    components: int | None = None
    properties: dict[str, Any] = field(default_factory=dict)

    def resource(self, host: str) -> dict[str, Any]:
        """Return the object's resource; 64-bit numbers are strings, as published."""
        self_link = f"{host}/storage/v1/b/{self.bucket}/o/{quote(self.name, safe='')}"
        media = self_link.replace("/storage/", "/download/storage/", 1)
        made = {
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{self.generation}",
            "selfLink": self_link,
            "mediaLink": f"{media}?generation={self.generation}&alt=media",
            "name": self.name,
            "bucket": self.bucket,
            "generation": str(self.generation),
            "metageneration": str(self.metageneration),
            "storageClass": "STANDARD",
            "size": str(len(self.data)),
            "crc32c": crc32c(self.data),
            "etag": etag(self),
            "timeCreated": self.created,
            "updated": self.updated,
            "timeStorageClassUpdated": self.created,
            **self.properties,
        }
        if self.components is None:
            made["md5Hash"] = md5(self.data)
        else:
            made["componentCount"] = self.components
        return made


class Buckets:
    """Every bucket of the server. Callers see to it that one request changes it at a time."""

    def __init__(self) -> None:
        self._buckets: dict[str, dict[str, Stored]] = {}
        self._last_generation = 0

    def create(self, bucket: str) -> dict[str, Any]:
        """Make an empty bucket; refuse if it is there."""
        if bucket in self._buckets:
            raise Refusal(409, "Your previous request to create the named bucket succeeded.")
        self._buckets[bucket] = {}
        return self.bucket_resource(bucket)

    def drop(self, bucket: str) -> None:
        """Delete an empty bucket."""
        if self.objects(bucket):
            raise Refusal(409, "The bucket you tried to delete is not empty.")
        del self._buckets[bucket]

    def bucket_resource(self, bucket: str) -> dict[str, Any]:
        """Return a bucket's resource."""
        self.objects(bucket)
        return {
            "kind": "storage#bucket", "id": bucket, "name": bucket, "metageneration": "1",
            "location": "US", "locationType": "multi-region", "storageClass": "STANDARD",
        }  # fmt: skip

    def names(self) -> list[str]:
        """Return the names of the buckets."""
        return sorted(self._buckets)

    def get(
        self, bucket: str, name: str, conditions: Conditions, generation: int | None = None
    ) -> Stored:
        """Return a live object; noncurrent generations are not kept."""
        found = self.objects(bucket).get(name)
        if found is None or generation not in (None, found.generation):
            raise Refusal(404, f"No such object: {bucket}/{name}")
        conditions.check(found, reading=True)
        return found

    def insert(
        self,
        bucket: str,
        name: str,
        data: bytes,
        conditions: Conditions,
        properties: Mapping[str, Any] | None = None,
        components: int | None = None,
    ) -> Stored:
        """Write an object; it gets a generation that none had before."""
        objects = self.objects(bucket)
        _check_name(name)
        conditions.check(objects.get(name))
        # Published: a number that only grows. Google's are microseconds, and so are these.
        self._last_generation = max(self._last_generation + 1, time_ns() // 1000)
        now = _timestamp()
        kept = {key: value for key, value in (properties or {}).items() if key in _SETTABLE}
        stored = Stored(
            bucket, name, data, self._last_generation, now, now,
            components=components, properties={"contentType": "application/octet-stream", **kept},
        )  # fmt: skip
        objects[name] = stored
        return stored

    def delete(
        self, bucket: str, name: str, conditions: Conditions, generation: int | None = None
    ) -> None:
        """Delete an object."""
        objects = self.objects(bucket)
        found = objects.get(name)
        if found is None or generation not in (None, found.generation):
            raise Refusal(404, f"No such object: {bucket}/{name}")
        conditions.check(found)
        del objects[name]

    def patch(
        self, bucket: str, name: str, changes: Mapping[str, Any], conditions: Conditions
    ) -> Stored:
        """Change metadata: the metageneration grows, the generation stays."""
        found = self.get(bucket, name, Conditions())
        conditions.check(found)
        properties = dict(found.properties)
        for key, value in changes.items():
            if key == "metadata" and value is not None:
                merged = {**properties.get("metadata", {}), **value}
                properties[key] = {k: v for k, v in merged.items() if v is not None}
            elif key in _SETTABLE:
                properties[key] = value
        properties = {key: value for key, value in properties.items() if value is not None}
        changed = replace(
            found,
            metageneration=found.metageneration + 1,
            updated=_timestamp(),
            properties=properties,
        )
        self.objects(bucket)[name] = changed
        return changed

    def compose(
        self,
        bucket: str,
        name: str,
        sources: list[tuple[str, int | None, Conditions]],
        conditions: Conditions,
        properties: Mapping[str, Any],
    ) -> Stored:
        """Concatenate 1 to 32 objects; the result has no md5."""
        if not 1 <= len(sources) <= 32:
            raise Refusal(400, "The number of source components provided is invalid.")
        found = []
        for source, generation, required in sources:
            part = self.get(bucket, source, Conditions(), generation)
            required.check(part)
            found.append(part)
        data = b"".join(part.data for part in found)
        count = sum(part.components or 1 for part in found)
        return self.insert(bucket, name, data, conditions, properties, count)

    def objects(self, bucket: str) -> dict[str, Stored]:
        """Return the live objects of a bucket by name."""
        if bucket not in self._buckets:
            raise Refusal(404, "The specified bucket does not exist.")
        return self._buckets[bucket]


def md5(data: bytes) -> str:
    """Return the base64 of the digest."""
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def crc32c(data: bytes) -> str:
    """Return the base64 of the big-endian checksum."""
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def etag(stored: Stored) -> str:
    """Return an opaque tag that changes with generation and metageneration."""
    return base64.b64encode(f"{stored.generation}/{stored.metageneration}".encode()).decode()


def _timestamp() -> str:
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")  # noqa: UP017 - 3.10 too
    return now.replace("+00:00", "Z")


def _check_name(name: str) -> None:
    if not 1 <= len(name.encode()) <= 1024 or name in {".", ".."} or re.search("[\r\n]", name):
        raise Refusal(400, f"Invalid object name: {name!r}")
