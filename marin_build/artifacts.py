"""Loading what a step returned, from wherever its output is."""

from __future__ import annotations

from typing import Any

from marin_build.errors import StoreError
from marin_build.protocol.artifact import parse_artifact
from marin_build.protocol.layout import ARTIFACT
from marin_build.store.opening import open_store


def load_artifact(output: str, annotation: Any) -> Any:
    """Return the artifact of an output, as the annotated type.

    Raises:
        StoreError: there is none, or it does not fit the type.

    """
    path = f"{output}/{ARTIFACT}"
    blob = open_store(output).get(path)
    if blob is None:
        raise StoreError(f"no artifact at `{path}`", hint="let the step return a value")
    return parse_artifact(blob.data, annotation, path)
