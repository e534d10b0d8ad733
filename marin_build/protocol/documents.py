"""Attempts and records: the documents that cross the disk."""

from __future__ import annotations

import json
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticSerializationError

from marin_build.protocol.returned_value import digest_of_value
from marin_build.untrusted_json import parse_json

SCHEMA = 1
EXECUTOR_VERSION: Literal["marin_build/1"] = "marin_build/1"

Result = Literal["succeeded", "failed", "interrupted", "abandoned"]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    def to_bytes(self) -> bytes:
        """Return the document as JSON."""
        try:
            return self.model_dump_json().encode()
        except PydanticSerializationError:  # a file name that is not UTF-8: JSON can escape it
            return json.dumps(self.model_dump(mode="python")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the document in JSON.

        Raises:
            ValueError: it is none.

        """
        return cls.model_validate(parse_json(data))


class Provenance(_Document):
    """Who ran what, from which state of the code."""

    user: str
    host: str
    argv: tuple[str, ...]
    python: str
    marin_build: str
    commit: str | None = None
    dirty: bool | None = None


class Environment(_Document):
    """What a target was built in. `distributions` are those that the step's code imports."""

    python: str
    distributions: dict[str, str] = {}
    locks: dict[str, str] = {}
    """Lock file at the project's root -> digest."""
    image: str | None = None
    variables: dict[str, str] | None = None
    """Name -> digest of the step's `env_vars`, without secrets; null: an older version wrote it."""


class Record(_Document):
    """What is written beside an output when it succeeded."""

    executor_version: Literal["marin_build/1"] = EXECUTOR_VERSION
    name: str
    target: str
    fn: str | None
    command: Any = None
    attributes: dict[str, Any]
    fingerprint: str
    deep_fingerprint: str
    payload: str
    code_digest: str | None
    code_document: str | None = None
    """Names the normalised source, `{prefix}/.marin-build/code/{code_document}.json`."""
    captured: dict[str, str] | None = None
    """What its function captured: numbers as they are, other values by digest."""
    deep_code_digest: str | None = None
    """Digest over the code that built it and all that it needs; see plan/deep_digests.py."""
    environment: Environment | None = None
    deps: tuple[str, ...]
    provenance: Provenance
    run: str
    attempt: int
    start: str
    end: str
    seconds: float
    exit_code: int
    peak_memory_bytes: int | None
    cpu_seconds: float | None = None
    queued_seconds: float | None = None
    """How long the engine's job waited for its turn before; null: in no queue, or it is unknown."""
    files: int | None = None
    bytes: int | None = None
    """Number and sizes of the files in the manifest."""
    adopted_from: str | None = None
    """Where the data lies that a person registered as this output; None: a step built it."""
    note: str | None = None
    """Why it was adopted, in the words of the person who did it."""
    config: Any = None
    version: dict[str, Any] = {}
    dependencies: tuple[str, ...] = ()
    output_path: str = ""
    """What Marin's data browser reads: the configuration and the version as its executor has them,
    the output paths of the dependencies, and its own."""
    keep: bool = False
    """Whether the step said `keep=True`: `gc` deletes no such build."""
    fingerprint_payload: str | None = None
    """The text that the step brought with it to be recorded."""


class FileEntry(_Document):
    """One file of an output: path inside it, size in bytes."""

    path: str
    size: int


class Publication(_Document):
    """What a sealed attempt commits: record, artifact and manifest.

    `digests`: path in the manifest -> sha-256 in hex, of the files that were read for it.
    `keeps_artifact`: the step itself wrote the artifact file, which holds `artifact`.
    """

    record: Record
    has_artifact: bool
    artifact: Any = None
    keeps_artifact: bool = False
    manifest: tuple[FileEntry, ...]
    digests: dict[str, str] = {}

    def as_record(self) -> bytes:
        """Return the record with what is committed besides, for a step that leaves no attempt.

        `attempt_reader.recorded` reads it. The artifact lies in a file of its own, and has a digest
        here.
        """
        said: dict[str, object] = {
            "has_artifact": self.has_artifact,
            "manifest": [{"path": file.path, "size": file.size} for file in self.manifest],
        }
        if self.has_artifact:
            said["artifact_digest"] = digest_of_value(self.artifact)
        if self.digests:
            said["digests"] = self.digests
        return self.record.to_bytes()[:-1] + b", " + json.dumps(said).encode()[1:]


class Attempt(_Document):
    """One try at a target that ended. `publish` is there if it succeeded, and says what it used.

    `finished` is there if its body did all its work and only what it returned could not be saved:
    what is committed once that is there, `has_artifact` without an artifact.
    """

    schema_version: Literal[1] = 1
    target: str
    attempt: int
    run: str
    worker: str
    engine: str = "local"
    job: str | None = None
    """The engine's id of the job it ran in."""
    result: Result
    start: str
    end: str | None = None
    exit_code: int | None = None
    message: str | None = None
    cause: Literal["app", "oom", "timeout", "infra"] | None = None
    """Why it failed."""
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    publish: Publication | None = None
    finished: Publication | None = None
