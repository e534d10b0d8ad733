"""The modules of a project that this program has imported: which they are, and forgetting them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from marin_build.pipeline.run_module import forget_package

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from marin_build.pipeline.locate import PipelineModule


Stamps = tuple[tuple[str, int, int], ...]
"""File, time of its last change in nanoseconds, and bytes, of each module."""


def forget_modules(project: str, pipeline: PipelineModule) -> None:
    """Have the modules of a project, and those beside its pipeline, imported anew."""
    for name in list(_files(project, pipeline)):
        del sys.modules[name]
    if pipeline.package:
        forget_package(pipeline)


def module_stamps(project: str, pipeline: PipelineModule) -> Stamps:
    """Return the stamps of these modules' files; the pipeline's own is always read anew."""
    files = sorted({*_files(project, pipeline).values()} - {pipeline.file})
    return tuple(_stamps(files))


def changed_since(stamps: Stamps) -> bool:
    """Return whether one of the files has changed since its stamp was taken."""
    return tuple(_stamps([file for file, _, _ in stamps])) != stamps


def _stamps(files: list[str]) -> Iterator[tuple[str, int, int]]:
    for file in files:
        try:
            found = os.stat(file)
        except OSError:
            yield file, 0, -1
        else:
            yield file, found.st_mtime_ns, found.st_size


def _files(project: str, pipeline: PipelineModule) -> Mapping[str, str]:
    """Return the files of the imported modules that are the project's, by the name of the module.

    An environment inside the project is not its own, nor are this program and this package.
    """
    folders = (project + os.sep, os.path.dirname(pipeline.file) + os.sep)
    installed = (sys.prefix + os.sep, sys.base_prefix + os.sep)
    found: dict[str, str] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        is_theirs = file.startswith(folders) and not (
            file.startswith(installed) or f"{os.sep}site-packages{os.sep}" in file
        )
        if is_theirs and name.partition(".")[0] not in ("__main__", "marin_build"):
            found[name] = file
    return found
