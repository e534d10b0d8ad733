"""How a value enters a manifest in a place where Kubernetes expands variables: a filter."""

from __future__ import annotations

from marin_build.emit.quoting import yaml


def kubernetes_text(value: str) -> str:
    """Return a string as a YAML scalar in which Kubernetes expands nothing.

    Kubernetes replaces `$(NAME)` and reads `$$` as one `$`, so every `$` is doubled.
    """
    return yaml(value.replace("$", "$$"))
