"""The prefix that options name and its store, opened without loading the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.operations.loading import pipeline_file, prefix_of
from marin_build.store.open_store import open_store

if TYPE_CHECKING:
    from marin_build.operations.options import PipelineOptions
    from marin_build.store.base import Store


@dataclass(frozen=True, slots=True)
class Place:
    """Where outputs live.

    Args:
        project: the absolute folder of the project.
        prefix: an absolute folder, or a URL.
        store: holds it.

    """

    project: str
    prefix: str
    store: Store


def open_place(options: PipelineOptions) -> Place:
    """Open the place that options name; nothing is asked of its store yet.

    Raises:
        UsageError: the configuration cannot be read, or the prefix is nearly a URL.
        StoreError: the prefix has an unknown scheme, or an extra is missing.

    """
    _, project, settings = pipeline_file(options)
    prefix = prefix_of(options, settings, project)
    return Place(project, prefix, open_store(prefix))
