"""The labels and annotations by which our objects are found again in a cluster. Pure."""

from __future__ import annotations

from marin_build.plan.plan_id import text_digest

MANAGED, OURS = "app.kubernetes.io/managed-by", "marin-build"
PREFIX = "marin-build/prefix"
"""The label that names the prefix: a namespace may have the jobs of many."""
TARGET = "marin-build/target"
"""The annotation that names the target."""


def prefix_label(prefix: str) -> str:
    """Return the value of the label for a prefix, which may hold what no label can."""
    return text_digest(prefix)[:16]


def selector_of(prefix: str) -> str:
    """Return what selects the objects of one prefix."""
    return f"{MANAGED}={OURS},{PREFIX}={prefix_label(prefix)}"
