"""The metadata of an object and of a template: names, labels, annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.engines.kubernetes.api_rules import (
    key_problem,
    label_problem,
    label_text_problem,
    name_problem,
)
from marin_build.engines.kubernetes.objects.violation import Violation, problem_at, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from marin_build.engines.kubernetes.objects.violation import Fields

_LARGEST_ANNOTATIONS = 256 * 1024


def metadata_violations(metadata: Fields) -> Iterator[Violation]:
    """Yield what is wrong with the metadata of an object in a namespace."""
    name, prefix = metadata.get("name", ""), metadata.get("generateName", "")
    if name:
        yield from problem_at("metadata.name", name, name_problem(name))
    elif not prefix:
        yield Violation("metadata.name", "is empty")
    if prefix:  # a `-` may end it: the server adds characters
        problem = name_problem(prefix[:-1] + "a" if prefix.endswith("-") else prefix)
        yield from problem_at("metadata.generateName", prefix, problem)
    if namespace := metadata.get("namespace", ""):
        yield from problem_at("metadata.namespace", namespace, label_problem(namespace))
    yield from label_violations(metadata.get("labels", {}), "metadata.labels")
    yield from _annotation_violations(metadata.get("annotations", {}), "metadata.annotations")


def template_metadata_violations(metadata: Fields, path: str) -> Iterator[Violation]:
    """Yield what is wrong with labels and annotations of a template.

    Servers name them without `metadata`: `spec.template.labels`.
    """
    yield from label_violations(metadata.get("labels", {}), f"{path}.labels")
    yield from _annotation_violations(metadata.get("annotations", {}), f"{path}.annotations")


def label_violations(labels: Mapping[str, str], path: str) -> Iterator[Violation]:
    """Yield what is wrong with labels, or with labels that nodes are chosen by."""
    for key, value in labels.items():
        yield from problem_at(path, key, key_problem(key))
        if problem := label_text_problem(value):
            yield Violation(path, f"{shown(value)} of {shown(key)} {problem}")


def _annotation_violations(annotations: Mapping[str, str], path: str) -> Iterator[Violation]:
    for key in annotations:
        yield from problem_at(path, key, key_problem(key.lower()))
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > _LARGEST_ANNOTATIONS:
        what = f"are {size} bytes together, and {_LARGEST_ANNOTATIONS} are allowed"
        yield Violation(path, what)
