"""What a step returned, saved beside its output as JSON and loaded as a type."""

from __future__ import annotations

import typing
from typing import Any

from marin_build.errors import StoreError


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
