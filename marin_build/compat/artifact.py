"""Artifact: what a step of Marin's artifact era returns, and how it is loaded again."""

from __future__ import annotations

import functools
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from marin_build.compat.artifact_record import (
    RECORD_FILENAME,
    STEP_RUNNER_EXECUTOR_VERSION,
    ArtifactRecord,
    NotAModelError,
    StepRecordIdentity,
    payload_json,
    read_artifact,
    read_record,
    write_artifact,
    write_record,
    write_step_record,
)
from marin_build.compat.versions import (
    is_mutable_version,
    validate_path_segment,
    validate_version,
)
from marin_build.errors import FingerprintMismatchError, NoArtifactError, StoreError
from marin_build.protocol.launch_provenance import Provenance, launch_provenance

__all__ = [
    "ARTIFACT_LOAD_CONTEXT_KEY",
    "EXPECTED_FINGERPRINT_KEY",
    "FINGERPRINT_KEY",
    "RECORD_FILENAME",
    "RESULT_TYPE_KEY",
    "STEP_RUNNER_EXECUTOR_VERSION",
    "VERSION_KEY",
    "Artifact",
    "ArtifactRecord",
    "ArtifactTypeMismatchError",
    "FingerprintMismatchError",
    "NoArtifactError",
    "NotAModelError",
    "Provenance",
    "StepRecordIdentity",
    "is_mutable_version",
    "launch_provenance",
    "payload_json",
    "read_artifact",
    "read_record",
    "result_type_name",
    "validate_path_segment",
    "validate_version",
    "write_artifact",
    "write_record",
    "write_step_record",
]

FINGERPRINT_KEY = "fingerprint"
VERSION_KEY = "version"
RESULT_TYPE_KEY = "result_type"
EXPECTED_FINGERPRINT_KEY = "expected_fingerprint"
ARTIFACT_LOAD_CONTEXT_KEY = "artifact_load"
_MARINS_MODULE = "marin.execution.artifact"
SCRIPT = "__main__"
"""The module of a class that is declared in the file that Python was started with."""


class ArtifactTypeMismatchError(StoreError):
    """An output was recorded as another class than it is loaded as."""


def result_type_name(artifact_type: type[Artifact]) -> str:
    """Return the name under which records keep a class: `module.Qualname`.

    That of `Artifact` is Marin's, because Marin refuses to load what was recorded as another class.
    """
    module = artifact_type.__module__
    return f"{_MARINS_MODULE if module == __name__ else module}.{artifact_type.__qualname__}"


class Artifact(BaseModel):
    """An output: where it lies, and the values that a subclass declares as fields.

    The record beside the output keeps the values of those fields.
    """

    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True)

    path: str = ""

    @functools.cached_property
    def record(self) -> ArtifactRecord | None:
        """The record at `path`, read once; None if there is none."""
        return read_record(self.path)

    def result_payload(self) -> dict[str, Any] | None:
        """Return what the record keeps: all declared fields but `path`; None if there are none."""
        names = type(self).model_fields.keys() - {"path"}
        return self.model_dump(mode="json", include=names) or None if names else None

    @classmethod
    def raw_load(cls, source: str) -> Self:
        """Return the artifact at a path.

        Adopted data and outputs at a chosen path have no record: only their path is known.

        Args:
            source: where it lies.

        Raises:
            ArtifactTypeMismatchError: it was recorded as another class.
            ValueError: the record is not readable, or does not hold all fields.
            StoreError: the store cannot be read.

        """
        record = read_record(source)
        if record is not None and not _is_recorded_as(record.result_type, cls):
            raise ArtifactTypeMismatchError(
                f"`{source}` was recorded as `{record.result_type}`, not as "
                f"`{result_type_name(cls)}`",
                hint="another class needs another version",
            )
        values = record.result if record is not None else None
        return cls(path=source, **(values or {}))

    @classmethod
    def load(cls, source: Any, artifact_type: Any = None) -> Any:
        """Load what lies at a path, in the words of earlier versions of Marin.

        Args:
            source: a path, or a step.
            artifact_type: the type to load it as. Without one, a subclass loads itself, and
                `Artifact` gives JSON values.

        Raises:
            StoreError: there is nothing, or it does not fit.

        """
        if artifact_type is None and cls is not Artifact:
            return cls.raw_load(getattr(source, "output_path", source))
        from marin_build.runtime.artifact import Artifact as Saved

        return Saved.load(source, Any if artifact_type is None else artifact_type)

    @classmethod
    def from_path(cls, base_path: Any, artifact_type: Any = None) -> Any:
        """Load what a step returned, in the words of Marin's executor: see `value_or_path`."""
        from marin_build.compat.path_metadata import value_or_path

        return value_or_path(base_path, artifact_type)

    @staticmethod
    def save(value: object, output_path: str) -> None:
        """Save a value beside an output, in the words of earlier versions of Marin.

        Raises:
            TypeError: a part of it has no form in JSON.
            StoreError: the store cannot be written.

        """
        from marin_build.runtime.artifact import Artifact as Saved

        Saved.save(value, output_path)


def _is_recorded_as(recorded: str, kind: type[Artifact]) -> bool:
    """Return whether a record's class is this one, which a script calls `__main__.Name`."""
    if not recorded or recorded == result_type_name(kind):
        return True
    is_of_script = recorded.startswith(f"{SCRIPT}.") or kind.__module__ == SCRIPT
    return is_of_script and recorded.endswith(f".{kind.__qualname__}")
