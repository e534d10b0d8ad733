"""What `pipeline` asks of the rooms that are built on steps: the only late bindings.

A step that a program runs itself brings the lease and the store with it. Planning only carries
the calls along, so `runtime` is imported when they are made, and never before. `compat` is
imported for files that are written for Marin, and for no others.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


MARIN = ("marin", "fray", "rigging")
"""The packages of Marin that its pipelines import."""


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


def check_output_file(file: object) -> None:
    """Refuse a file that a step did not leave in its output.

    Args:
        file: an OutputFile.

    Raises:
        StepFailedError: it is not there.
        StoreError: the store cannot be read.

    """
    _runtime("output_files").check_is_there(file)


def install_marin_names(era: str) -> None:
    """Have the names of Marin's modules lead to ours, where Marin is not installed.

    Args:
        era: which Marin, as the setting `marin_era` names it.

    """
    importlib.import_module("marin_build.compat").install(era)


def step_of_marin(value: object) -> Any:
    """Return the step that an object of Marin itself stands for; None if it is none."""
    if type(value).__module__.partition(".")[0] != MARIN[0]:
        return None
    return _of_marin().step_of(value)


def resources_of_marin(value: object) -> Any:
    """Return what fray's own ResourceConfig asks for, as ours; any other value as it is."""
    if type(value).__module__.partition(".")[0] != MARIN[1]:
        return value
    return _of_marin().resources_of(value)


@contextmanager
def watching_for_marin(prefix: str) -> Iterator[None]:
    """Have what Marin itself would run in the block offered to the pipeline that is loaded.

    Args:
        prefix: where outputs live, also for Marin.

    """
    watch = _MarinImport(prefix)
    if MARIN[0] in sys.modules:
        _of_marin().offer_what_it_runs(prefix)
    else:
        sys.meta_path.insert(0, watch)
    try:
        yield
    finally:
        if watch in sys.meta_path:
            sys.meta_path.remove(watch)


class _MarinImport:
    """Sees the first import of Marin: nothing of ours for it is imported before."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> None:  # noqa: ARG002 - as importlib calls it
        """Find nothing; others do."""
        if name == MARIN[0]:
            sys.meta_path.remove(self)
            _of_marin().offer_what_it_runs(self._prefix)


def _runtime(module: str) -> Any:
    return importlib.import_module(f"marin_build.runtime.{module}")


def _of_marin() -> Any:
    return importlib.import_module("marin_build.compat.foreign")
