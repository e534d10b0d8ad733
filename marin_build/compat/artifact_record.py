"""The record beside an output of Marin's artifact era: `.artifact.json`, written and read.

Marin writes and reads the same document. Older outputs are read as well: a bare value in that file,
and the `.executor_info` of Marin's executor.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, Field

from marin_build.errors import NoArtifactError, StoreError
from marin_build.protocol import layout
from marin_build.protocol.beside import read_beside
from marin_build.protocol.launch_provenance import Provenance, launch_provenance
from marin_build.protocol.record_reader import is_ours
from marin_build.store.open_store import open_store
from marin_build.untrusted_json import parse_json
from marin_build.workspace.workspace import absolute_prefix, current_workspace

if TYPE_CHECKING:
    import os


M = TypeVar("M", bound=BaseModel)

RECORD_FILENAME = layout.ARTIFACT
STEP_RUNNER_EXECUTOR_VERSION = "step_runner"
"""Marks an `.executor_info` that is written before its step runs: it records nothing."""
_IDENTITY = ("name", "fingerprint", "result_type", "result")
"""Fields of which each record has one at least; a bare value that an older Marin wrote has none."""


class NotAModelError(StoreError, TypeError):
    """A value was to be read as a type that is no pydantic model."""


class ArtifactRecord(BaseModel):
    """What is known of an output; fields that its writer did not know have their defaults.

    `deps` are `name@version`, or `name_with_hash` of a plain step; `dep_paths` are where those lie.
    `config` is the config as it ran. `source` is where adopted data lies. `result` is the value
    that the step returned. `fingerprint` is that of `fingerprint_payload`.
    """

    name: str = ""
    version: str = ""
    fingerprint: str = ""
    result_type: str = ""
    output_path: str = ""
    deps: list[str] = Field(default_factory=list)
    dep_paths: list[str] = Field(default_factory=list)
    config: dict[str, Any] | None = None
    source: str | None = None
    result: Any = None
    fingerprint_payload: str | None = None
    provenance: Provenance | None = None


_FIELDS = frozenset(ArtifactRecord.model_fields)


@dataclass(frozen=True)
class StepRecordIdentity:
    """What the record of a plain step says of it, without its function.

    Args:
        name: the step's.
        deps: the `name_with_hash` of each dependency.
        dep_paths: where they lie, in the same order.
        config: its `hash_attrs`.
        fingerprint_payload: as the step has it.

    """

    name: str
    deps: list[str]
    dep_paths: list[str]
    config: dict[str, Any] | None
    fingerprint_payload: str | None = None


def read_record(output_path: str | os.PathLike[str]) -> ArtifactRecord | None:
    """Return the record of an output; None if there is none.

    Args:
        output_path: where it lies; a relative one lies under the prefix.

    Raises:
        ValueError: it is no such document.
        StoreError: the store cannot be read.

    """
    output = resolved(output_path)
    names = (layout.ARTIFACT, layout.RECORD)
    ((record, info),) = read_beside(open_store(output), [output], names)
    if record is None:
        return _of_executor(info) if info is not None else None
    found = _parsed(record)
    ours = _of_our_runner(info) if info is not None and not found.name else None
    return found if ours is None else ours.model_copy(update={"result": found.result})


def write_record(record: ArtifactRecord) -> None:
    """Write a record to its `output_path`.

    Raises:
        StoreError: the store cannot be written.

    """
    output = resolved(record.output_path)
    data = record.model_dump_json(indent=2).encode()
    open_store(output).put(f"{output}/{layout.ARTIFACT}", data)


def read_artifact(output_path: str | os.PathLike[str], schema: type[M]) -> M:
    """Return the value in the record of an output, as a pydantic model.

    Raises:
        NotAModelError: the type is none; a TypeError.
        NoArtifactError: there is no value; a FileNotFoundError.
        ValueError: it does not fit the model.
        StoreError: the store cannot be read.

    """
    if not (isinstance(schema, type) and issubclass(schema, BaseModel)):
        raise NotAModelError(f"an artifact is read as a pydantic model, not as `{schema!r}`")
    output = resolved(output_path)
    record = read_record(output)
    value = record.result if record is not None else None
    if value is None and record is None:
        value = _oldest_value(output)
    if value is None:
        raise NoArtifactError(
            f"no value of a step is recorded at `{output}`",
            facts=[("looked for", layout.ARTIFACT)],
            hint="let the step return a pydantic model",
        )
    return schema.model_validate(value, context={"artifact_load": True})


def write_artifact(value: object, output_path: str | os.PathLike[str]) -> None:
    """Write a record that holds a value, and nothing else.

    Raises:
        StoreError: the store cannot be written.

    """
    write_record(ArtifactRecord(output_path=resolved(output_path), result=payload_json(value)))


def write_step_record(identity: StepRecordIdentity, *, output_path: str, result: object) -> None:
    """Write the record of a plain step that was run here.

    Raises:
        StoreError: the store cannot be written.

    """
    write_record(
        ArtifactRecord(
            name=identity.name,
            output_path=output_path,
            deps=identity.deps,
            dep_paths=identity.dep_paths,
            config=identity.config,
            result=None if result is None else payload_json(result),
            fingerprint_payload=identity.fingerprint_payload,
            provenance=launch_provenance(),
        )
    )


def payload_json(value: object) -> Any:
    """Return a model or a dataclass as JSON values; any other value as it is."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value


def resolved(output_path: str | os.PathLike[str]) -> str:
    """Return an output path, absolute: a relative one lies under the prefix in force."""
    return absolute_prefix(output_path, current_workspace().prefix)


def _parsed(data: bytes) -> ArtifactRecord:
    record = ArtifactRecord.model_validate_json(data)
    if any(getattr(record, name) for name in _IDENTITY):
        return record
    document = parse_json(data)
    if isinstance(document, dict) and not document.keys() <= _FIELDS:
        return ArtifactRecord(result=document)
    return record


def _of_executor(data: bytes) -> ArtifactRecord | None:
    """Return what Marin's executor noted of a step that it ran; None for a note before a run."""
    info = parse_json(data)
    if not isinstance(info, dict):
        raise ValueError(f"`{layout.RECORD}` is no object")  # noqa: TRY004 - as other bad documents
    if is_ours(info) or info.get("executor_version") == STEP_RUNNER_EXECUTOR_VERSION:
        return None
    return ArtifactRecord(
        name=info.get("name") or "",
        config=info.get("config"),
        output_path=info.get("output_path") or "",
        deps=list(info.get("dependencies") or []),
    )


def _of_our_runner(data: bytes) -> ArtifactRecord | None:
    """Return what a record of marin-build says of a plain step; None for a note of Marin's.

    Marin writes that and the value into one file, marin-build into two.
    """
    info = parse_json(data)
    if not isinstance(info, dict):
        return None
    if not str(info.get("executor_version")).startswith("marin_build/"):
        return None
    return ArtifactRecord(
        name=info.get("name") or "",
        output_path=info.get("output_path") or "",
        deps=list(info.get("deps") or []),
        dep_paths=list(info.get("dependencies") or []),
        config=info.get("config"),
    )


def _oldest_value(output: str) -> Any:
    """Return the bare value in `.artifact`, which the first StepRunner wrote; None if not there."""
    blob = open_store(output).get(f"{output}/{layout.OLD_ARTIFACT}")
    return parse_json(blob.data) if blob is not None else None
