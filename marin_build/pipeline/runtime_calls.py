"""What a declared step asks of `runtime`, which is built on steps: the only two late bindings.

A step that a program runs itself brings the lease and the store with it. Planning only carries
the calls along, so both are imported when they are made, and never before.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def executable(step: object) -> Callable[[str], object]:
    """Return what builds a step when it is called with its output path.

    Raises:
        SpecificationError: the step has a timeout, and a thread cannot be killed.

    """
    made: Callable[[str], object] = _runtime("executable").executable(step)
    return made


def load_artifact(path: str, annotation: Any) -> Any:
    """Return what the step that was built at `path` returned, as the annotated type.

    Raises:
        StepFailedError: there is no artifact, or none of that type.

    """
    return _runtime("artifact").load_artifact(path, annotation)


def _runtime(module: str) -> Any:
    return importlib.import_module(f"marin_build.runtime.{module}")
