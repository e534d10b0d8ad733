"""What a step returned, saved beside its output as JSON and loaded as a type."""

from __future__ import annotations

import json
import typing
from typing import TYPE_CHECKING, Any

from marin_build.errors import StepFailedError, StoreError
from marin_build.protocol import layout
from marin_build.protocol.returned_value import UnsavableError, Walk
from marin_build.untrusted_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.store.base import Store


# Marin's newest form of the file is a descriptor that holds the value under `result`.
_DESCRIPTOR = frozenset({"name", "version", "fingerprint", "result_type", "output_path", "result"})
_KEYS_OF_DESCRIPTORS = _DESCRIPTOR | {
    "deps", "dep_paths", "config", "source", "fingerprint_payload", "provenance",
}  # fmt: skip


def artifact_value(value: object, annotation: Callable[[], Any] | None = None) -> Any:
    """Return a returned value as plain JSON values, which are read back equal.

    What JSON itself does not hold (NaN, keys that are no text) is saved only if the type that the
    step says it returns reads it back.

    Args:
        value: what the step returned.
        annotation: called for that type where it matters; it may return None.

    Raises:
        UnsavableError: a part of it has no form in JSON; a TypeError.

    """
    if value is None:
        return None
    walk = Walk()
    try:
        tree = walk.tree(value)
        if walk.not_plain and not walk.problems:
            _check_reads_back(value, tree, walk, annotation)
    except RecursionError:
        raise UnsavableError(["it is nested too deeply"]) from None
    if walk.problems:
        raise UnsavableError(walk.problems)
    return tree


def _check_reads_back(
    value: object, tree: Any, walk: Walk, annotation: Callable[[], Any] | None
) -> None:
    """Refuse what is not plain JSON, unless the returned type reads it back equal."""
    from pydantic import PydanticUserError

    kind = annotation() if annotation is not None else None
    if kind is None and not isinstance(value, dict | list | tuple | float | set):
        kind = type(value)
    if kind is not None:
        try:
            read = parse_artifact(json.dumps(tree).encode(), kind, "")
        except (StoreError, PydanticUserError):
            read = None
        if Walk(exact=True).tree(read) == Walk(exact=True).tree(value):
            return
    raise UnsavableError(
        walk.not_plain,
        "JSON has no NaN, no infinity, and only texts as keys: annotate what the step returns with "
        "a type that reads it back, like `-> dict[str, float]`",
    )


def artifact_file(value: Any, output: str) -> bytes:
    """Return the artifact file of an output, which `read_artifact` and Marin read as the value.

    That is the value itself. Where it shares a key with a descriptor, or has none, Marin would
    take it for one: there a descriptor around it holds it.

    Args:
        value: JSON values, as `artifact_value` makes them.
        output: the output path.

    """
    if isinstance(value, dict) and (not value or not _KEYS_OF_DESCRIPTORS.isdisjoint(value)):
        empty = dict.fromkeys(("name", "version", "fingerprint", "result_type"), "")
        value = {**empty, "output_path": output, "result": value}
    return json.dumps(value).encode()


def own_artifact(store: Store, output: str) -> Any:
    """Return the JSON value that a step wrote as its artifact itself; None if it wrote none.

    Raises:
        StepFailedError: it is no JSON.
        StoreError: the store cannot be reached.

    """
    path = f"{output}/{layout.ARTIFACT}"
    blob = store.get(path)
    if blob is None:
        return None
    try:
        return parse_json(blob.data)
    except ValueError as error:
        raise StepFailedError(
            f"the step wrote `{path}`, which is no JSON", facts=[("reason", str(error))]
        ) from None


def read_artifact(store: Store, output: str) -> tuple[bytes, str] | None:
    """Return an artifact as JSON, and the file it is from; None where there is none.

    Marin's files are read too: `.artifact`, and `.artifact.json` with a descriptor around it.

    Raises:
        StoreError: the store cannot be reached.

    """
    paths = [f"{output}/{name}" for name in (layout.ARTIFACT, layout.OLD_ARTIFACT)]
    for path, blob in zip(paths, store.get_many(paths), strict=True):
        if blob is not None and (value := without_descriptor(blob.data)) is not None:
            return value, path
    return None


def without_descriptor(data: bytes) -> bytes | None:
    """Return the JSON of the value in an artifact file, ours or one of Marin's two forms.

    None where it holds no value.
    """
    if data == b"null":
        return None
    if b'"result_type"' not in data:
        return data
    try:
        document = parse_json(data)
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
