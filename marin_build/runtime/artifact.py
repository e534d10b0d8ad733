"""Saving and loading what a step returned, wherever its output is."""

from __future__ import annotations

import os
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

from marin_build.errors import CorruptStateError, NoArtifactError, StoreError
from marin_build.pipeline.bound_call import return_annotation
from marin_build.pipeline.stands_for import StandsForStep
from marin_build.protocol import layout
from marin_build.protocol.artifact import (
    artifact_file,
    artifact_value,
    parse_artifact,
    read_artifact,
)
from marin_build.protocol.record_reader import adopted_from
from marin_build.store.open_store import open_store
from marin_build.untrusted_json import parse_json
from marin_build.workspace.workspace import absolute_prefix, current_workspace

if TYPE_CHECKING:
    from marin_build.pipeline.step_spec import StepSpec


T = TypeVar("T")
Output = str | os.PathLike[str]


class Artifact:
    """A value beside an output: dataclasses, pydantic models and JSON values, kept as JSON."""

    @staticmethod
    def save(value: object, output_path: Output) -> None:
        """Save a value in `{output_path}/.artifact.json`; None removes what is there.

        Raises:
            TypeError: it has a part that is no dataclass, pydantic model or JSON value; it says
                where.
            StoreError: the store cannot be written.

        """
        save_returned(None, value, output_path)

    @overload
    @staticmethod
    def load(output: Output | StepSpec | StandsForStep, artifact_type: type[T]) -> T: ...
    @overload
    @staticmethod
    def load(output: Output | StepSpec | StandsForStep, artifact_type: Any = None) -> Any: ...
    @staticmethod
    def load(output: Output | StepSpec | StandsForStep, artifact_type: Any = None) -> Any:
        """Load the value of an output.

        Args:
            output: a step, or an output path.
            artifact_type: a dataclass, a pydantic model or any other annotation. None: what the
                function of a step is annotated to return. Without either, and with `Any`, JSON
                values are returned.

        Raises:
            NoArtifactError: there is no artifact; a FileNotFoundError.
            StoreError: it does not fit the type, or cannot be read.

        """
        from marin_build.pipeline.step_spec import StepSpec

        if isinstance(output, StandsForStep):
            lowered: StepSpec = output.lowered_step
            output = lowered
        if isinstance(output, StepSpec):
            if artifact_type is None:
                artifact_type = return_annotation(output.fn)
            output = output.output_path
        path = absolute_prefix(output, os.getcwd())
        if isinstance(artifact_type, type) and is_dataclass(artifact_type):
            return _dataclass(path, artifact_type)
        return load_artifact(path, artifact_type)


def save_returned(fn: object, value: object, output_path: Output) -> None:
    """Save what a step's function returned; see `Artifact.save`.

    Raises:
        UnsavableError: a part of it has no form in JSON; a TypeError.
        StoreError: the store cannot be written.

    """
    output = absolute_prefix(output_path, os.getcwd())
    document = artifact_value(value, lambda: return_annotation(fn))
    path = f"{output}/{layout.ARTIFACT}"
    if document is None:
        open_store(output).delete([path])
    else:
        open_store(output).put(path, artifact_file(document, output))


def load_artifact(output: str, annotation: Any) -> Any:
    """Return the artifact of an output, as the annotated type; None or Any: as JSON values.

    The artifact of adopted data is read where the data lies.

    Raises:
        NoArtifactError: there is none.
        StoreError: it does not fit the type, or cannot be read.

    """
    store = open_store(output)
    found = read_artifact(store, output)
    is_adopted = output in current_workspace().adopted.values()
    if found is None and not is_adopted:
        record = store.get(f"{output}/{layout.RECORD}")
        place = adopted_from(record.data) if record is not None else None
        if place is not None:
            output, is_adopted = place, True
            found = read_artifact(open_store(place), place)
    if found is not None:
        return _typed(*found, annotation)
    if annotation is type(None):
        return None
    if is_adopted:
        raise NoArtifactError(
            f"the adopted data at `{output}` has no artifact",
            facts=[("looked for", layout.ARTIFACT)],
            hint="put it there as JSON, or take the folder: annotate the parameter as Path",
        )
    path = f"{output}/{layout.ARTIFACT}"
    raise NoArtifactError(f"no artifact at `{path}`", hint="let the step return a value")


def _dataclass(output: str, kind: type) -> Any:
    """Return an artifact as a dataclass, of the values as they are where its annotations are wrong.

    Programs written for Marin annotate `int` and save None, or name types that only checkers know.
    """
    from pydantic import PydanticUserError

    try:
        return load_artifact(output, kind)
    except (StoreError, PydanticUserError, NameError) as error:
        if isinstance(error, NoArtifactError):
            raise
        values = load_artifact(output, None)
        try:
            return kind(**values)
        except TypeError as unfit:  # no mapping, or not of its fields
            if isinstance(error, StoreError):
                raise error from None
            what = f"the artifact of `{output}` is no {kind.__name__}"
            raise StoreError(what, facts=[("reason", str(unfit))]) from None


def load_returned(fn: object, output: str) -> Any:
    """Return what a step's function returned, as the type it says, else as JSON values.

    None where there is no artifact: a step need not return anything.

    Raises:
        StoreError: it does not fit the type.

    """
    found = read_artifact(open_store(output), output)
    return None if found is None else _typed(*found, return_annotation(fn))


def _typed(data: bytes, path: str, annotation: Any) -> Any:
    if annotation is not None and annotation is not Any:
        return parse_artifact(data, annotation, path)
    try:
        return parse_json(data)
    except ValueError:
        raise CorruptStateError(
            f"the artifact `{path}` is not readable",
            facts=[("content", repr(data[:60].decode("utf-8", "replace")))],
            hint="build its step again",
        ) from None
