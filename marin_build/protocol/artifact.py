"""What a step returned, saved beside its output as JSON and loaded as a type."""

from __future__ import annotations

import json
import typing
from typing import TYPE_CHECKING, Any

from marin_build.errors import StoreError
from marin_build.protocol import layout

if TYPE_CHECKING:
    from marin_build.store.base import Store


# Marin's newest form of the file is a descriptor that holds the value under `result`.
_DESCRIPTOR = frozenset({"name", "version", "fingerprint", "result_type", "output_path", "result"})


def artifact_value(value: object) -> Any:
    """Return a returned value as plain JSON values.

    Raises:
        TypeError: it is not a pydantic model, a dataclass or a JSON value.

    """
    if value is None:
        return None
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return to_jsonable_python(value, inf_nan_mode="constants")
    except PydanticSerializationError as error:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise TypeError(
            f"the step returned a {kind}, which cannot be saved as JSON; return a "
            "dataclass, a pydantic model or JSON values"
        ) from error


def read_artifact(store: Store, output: str) -> tuple[bytes, str] | None:
    """Return an artifact as JSON, and the file it is from; None where there is none.

    Marin's files are read too: `.artifact`, and `.artifact.json` with a descriptor around it.

    Raises:
        StoreError: the store cannot be reached.

    """
    paths = [f"{output}/{name}" for name in (layout.ARTIFACT, layout.OLD_ARTIFACT)]
    for path, blob in zip(paths, store.get_many(paths), strict=True):
        if blob is not None and (value := _without_descriptor(blob.data)) is not None:
            return value, path
    return None


def _without_descriptor(data: bytes) -> bytes | None:
    """Return the value in an artifact file; None where it, or Marin's descriptor, holds none."""
    if data == b"null":
        return None
    if b'"result_type"' not in data:
        return data
    try:
        document = json.loads(data)
    except ValueError:
        return data  # `parse_artifact` reports what is wrong
    if not isinstance(document, dict) or not document.keys() >= _DESCRIPTOR:
        return data
    value = document["result"]
    return None if value is None else json.dumps(value).encode()


def parse_artifact(data: bytes, annotation: Any, path: str) -> Any:
    """Return the bytes of an artifact as the annotated type.

    Raises:
        StoreError: they do not fit it; `path` says where they are from.

    """
    from pydantic import TypeAdapter, ValidationError

    if typing.is_typeddict(annotation):  # pydantic refuses typing.TypedDict before Python 3.12
        annotation = dict[str, Any]
    try:
        return TypeAdapter(annotation).validate_json(data)
    except ValidationError as error:
        shown = getattr(annotation, "__name__", str(annotation))
        raise StoreError(
            f"the artifact `{path}` is no {shown}", facts=[("reason", str(error))]
        ) from error
