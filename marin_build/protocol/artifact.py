"""What a step returned, saved beside its output as JSON and loaded as a type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.errors import StoreError
from marin_build.protocol.layout import ARTIFACT

if TYPE_CHECKING:
    from marin_build.store.base import Store


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


def load_artifact(output: str, annotation: Any, store: Store | None = None) -> Any:
    """Return the artifact of an output, as the annotated type.

    Raises:
        StoreError: there is none, or it does not fit the type.

    """
    from pydantic import TypeAdapter, ValidationError

    if store is None:
        from marin_build.store.opening import open_store

        store = open_store(output)
    path = f"{output}/{ARTIFACT}"
    blob = store.get(path)
    if blob is None:
        raise StoreError(f"no artifact at `{path}`", hint="let the step return a value")
    try:
        return TypeAdapter(annotation).validate_json(blob.data)
    except ValidationError as error:
        shown = getattr(annotation, "__name__", str(annotation))
        raise StoreError(
            f"the artifact `{path}` is no {shown}", facts=[("reason", str(error))]
        ) from error
