"""The JSON API of Cloud Storage as a function from requests to replies."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from .gcs_listing import list_page
from .gcs_objects import Buckets, Conditions, Refusal, Stored, crc32c, etag, md5
from .gcs_uploads import ResumableUpload, parse_json, split_multipart

if TYPE_CHECKING:
    from collections.abc import Mapping

_BUCKET = re.compile(r"/storage/v1/b/([^/]+)")
_OBJECTS = re.compile(r"/storage/v1/b/([^/]+)/o")
_OBJECT = re.compile(r"(/download)?/storage/v1/b/([^/]+)/o/([^/]+)")
_COMPOSE = re.compile(r"/storage/v1/b/([^/]+)/o/([^/]+)/compose")
_COPY = re.compile(r"/storage/v1/b/([^/]+)/o/([^/]+)/(copyTo|rewriteTo)/b/([^/]+)/o/([^/]+)")
_MOVE = re.compile(r"/storage/v1/b/([^/]+)/o/([^/]+)/moveTo/o/([^/]+)")
_UPLOAD = re.compile(r"/(?:resumable/)?upload/storage/v1/b/([^/]+)/o")


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request, parsed; the path as sent, since `%2F` and `/` are not the same."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes
    host: str


@dataclass(frozen=True, slots=True)
class ApiReply:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def document_reply(document: Mapping[str, Any], status: int = 200) -> ApiReply:
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    return ApiReply(status, json.dumps(document).encode(), headers)


class GcsApi:
    """The API as a function of requests; one at a time, so that each is atomic."""

    def __init__(self) -> None:
        self.buckets = Buckets()
        self._uploads: dict[str, ResumableUpload] = {}
        self._completed: dict[str, ApiReply] = {}

    def answer(self, request: ApiRequest) -> ApiReply:
        """Do what a request asks."""
        try:
            return self._route(request)
        except Refusal as refusal:
            if refusal.status == 304:
                return ApiReply(304)
            if request.query.get("alt") == "media":  # published: plain text for media
                headers = {"Content-Type": "text/html; charset=UTF-8"}
                return ApiReply(refusal.status, str(refusal).encode(), headers)
            return document_reply(refusal.document, refusal.status)

    def _route(self, request: ApiRequest) -> ApiReply:
        method, path = request.method, request.path
        if found := _UPLOAD.fullmatch(path):
            return self._upload(request, unquote(found[1]))
        if found := _COPY.fullmatch(path):
            source, name, how, bucket, target = (unquote(part) for part in found.groups())
            return self._copy(request, (source, name), (bucket, target), how)
        if found := _MOVE.fullmatch(path):
            bucket, name, target = (unquote(part) for part in found.groups())
            return self._move(request, bucket, name, target)
        if found := _COMPOSE.fullmatch(path):
            return self._compose(request, unquote(found[1]), unquote(found[2]))
        if found := _OBJECT.fullmatch(path):
            return self._object(request, unquote(found[2]), unquote(found[3]), bool(found[1]))
        if (found := _OBJECTS.fullmatch(path)) and method == "GET":
            return document_reply(self._list(unquote(found[1]), request))
        if found := _BUCKET.fullmatch(path):
            if method == "DELETE":
                self.buckets.drop(unquote(found[1]))
                return ApiReply(204)
            return document_reply(self.buckets.bucket_resource(unquote(found[1])))
        if path == "/storage/v1/b":
            if method == "POST":
                return document_reply(self.buckets.create(str(parse_json(request.body)["name"])))
            items = [self.buckets.bucket_resource(name) for name in self.buckets.names()]
            return document_reply({"kind": "storage#buckets", "items": items})
        raise Refusal(501, f"this stand-in does not know {method} {path}")

    def _list(self, bucket: str, request: ApiRequest) -> dict[str, Any]:
        return list_page(self.buckets.objects(bucket), request.query, request.host)

    def _object(self, request: ApiRequest, bucket: str, name: str, download: bool) -> ApiReply:
        conditions = Conditions.parse(request.query)
        generation = _number(request.query.get("generation"))
        match request.method:
            case "GET":
                found = self.buckets.get(bucket, name, conditions, generation)
                if download or request.query.get("alt") == "media":
                    return _media(found, request.headers.get("Range"))
                return document_reply(found.resource(request.host))
            case "DELETE":
                self.buckets.delete(bucket, name, conditions, generation)
                return ApiReply(204)
            case "PATCH":
                changed = self.buckets.patch(bucket, name, parse_json(request.body), conditions)
                return document_reply(changed.resource(request.host))
            case method:
                raise Refusal(501, f"this stand-in does not know {method} of an object")

    def _copy(
        self, request: ApiRequest, source: tuple[str, str], target: tuple[str, str], how: str
    ) -> ApiReply:
        wanted = _number(request.query.get("sourceGeneration"))
        found = self.buckets.get(*source, Conditions(), wanted)
        Conditions.parse(request.query, "Source").check(found)
        properties = {**found.properties, **parse_json(request.body)}
        conditions = Conditions.parse(request.query)
        made = self.buckets.insert(*target, found.data, conditions, properties, found.components)
        resource = made.resource(request.host)
        if how == "copyTo":
            return document_reply(resource)
        size = str(len(made.data))
        return document_reply(
            {
                "kind": "storage#rewriteResponse", "done": True, "objectSize": size,
                "totalBytesRewritten": size, "resource": resource,
            }
        )  # fmt: skip

    def _move(self, request: ApiRequest, bucket: str, name: str, target: str) -> ApiReply:
        wanted = _number(request.query.get("sourceGeneration"))
        found = self.buckets.get(bucket, name, Conditions(), wanted)
        Conditions.parse(request.query, "Source").check(found)
        conditions = Conditions.parse(request.query)
        made = self.buckets.insert(
            bucket, target, found.data, conditions, found.properties, found.components
        )
        self.buckets.delete(bucket, name, Conditions())
        return document_reply(made.resource(request.host))

    def _compose(self, request: ApiRequest, bucket: str, name: str) -> ApiReply:
        asked = parse_json(request.body)
        sources = [
            (
                str(part["name"]),
                _number(part.get("generation")),
                Conditions.parse(part.get("objectPreconditions", {})),
            )
            for part in asked.get("sourceObjects", [])
        ]
        made = self.buckets.compose(
            bucket, name, sources, Conditions.parse(request.query), asked.get("destination", {})
        )
        return document_reply(made.resource(request.host))

    def _upload(self, request: ApiRequest, bucket: str) -> ApiReply:
        if identity := request.query.get("upload_id"):
            return self._resume(request, identity)
        content_type = request.headers.get("Content-Type")
        properties: dict[str, Any] = {}
        match request.query.get("uploadType"):
            case "media":
                media, media_type = request.body, content_type
            case "multipart":
                properties, media_type, media = split_multipart(content_type or "", request.body)
            case "resumable":
                return self._begin(request, bucket)
            case other:
                raise Refusal(400, f"Invalid uploadType: {other}")
        _check_sums(properties, media)
        if media_type:
            properties.setdefault("contentType", media_type)
        name = request.query.get("name") or str(properties.get("name", ""))
        conditions = Conditions.parse(request.query)
        made = self.buckets.insert(bucket, name, media, conditions, properties)
        return document_reply(made.resource(request.host))

    def _begin(self, request: ApiRequest, bucket: str) -> ApiReply:
        properties = parse_json(request.body)
        self.buckets.bucket_resource(bucket)
        if media_type := request.headers.get("X-Upload-Content-Type"):
            properties.setdefault("contentType", media_type)
        name = request.query.get("name") or str(properties.get("name", ""))
        upload = ResumableUpload(bucket, name, request.query, properties)
        self._uploads[upload.identity] = upload
        place = f"{request.host}/upload/storage/v1/b/{bucket}/o?uploadType=resumable"
        return ApiReply(headers={"Location": f"{place}&upload_id={upload.identity}"})

    def _resume(self, request: ApiRequest, identity: str) -> ApiReply:
        if identity in self._completed:  # asked again after a lost reply: it is done, once
            return self._completed[identity]
        upload = self._uploads.get(identity)
        if upload is None:
            raise Refusal(404, "No such upload.")
        if request.method == "DELETE":
            del self._uploads[identity]
            return ApiReply(499)
        if not upload.receive(request.headers.get("Content-Range"), request.body):
            return ApiReply(308, headers=upload.progress())
        media = bytes(upload.data)
        _check_sums(upload.properties, media)
        conditions = Conditions.parse(upload.query)
        made = self.buckets.insert(upload.bucket, upload.name, media, conditions, upload.properties)
        del self._uploads[identity]
        self._completed[identity] = document_reply(made.resource(request.host))
        return self._completed[identity]


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _check_sums(properties: Mapping[str, Any], media: bytes) -> None:
    for key, compute in (("md5Hash", md5), ("crc32c", crc32c)):
        if key in properties and properties[key] != compute(media):
            raise Refusal(400, f"Provided {key} does not match the content.")


def _media(found: Stored, asked: str | None) -> ApiReply:
    """Return an object's bytes, or the range asked for (one range, RFC 9110)."""
    size = len(found.data)
    headers = {
        "Content-Type": str(found.properties["contentType"]),
        "ETag": etag(found),
        "X-Goog-Generation": str(found.generation),
        "X-Goog-Metageneration": str(found.metageneration),
        "X-Goog-Storage-Class": "STANDARD",
        "X-Goog-Stored-Content-Length": str(size),
        "X-Goog-Hash": f"crc32c={crc32c(found.data)}"
        + (f",md5={md5(found.data)}" if found.components is None else ""),
    }
    span = re.fullmatch(r"bytes=(\d*)-(\d*)", asked or "")
    if span is None or span[0] == "bytes=-":
        return ApiReply(200, found.data, headers)
    if span[1]:
        start, end = int(span[1]), min(int(span[2] or size), size - 1)
    else:
        start, end = max(size - int(span[2]), 0), size - 1
    if start > end:
        raise Refusal(416, "The requested range cannot be satisfied.")
    headers["Content-Range"] = f"bytes {start}-{end}/{size}"
    return ApiReply(206, found.data[start : end + 1], headers)
