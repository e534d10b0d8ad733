"""Patterns that name many targets in one line, by the part that their names share."""

from __future__ import annotations


def same_name(name: str) -> str:
    """Return `train_*`, for all targets of a step name."""
    return f"{name}_*"


def folder(name: str) -> str:
    """Return `train/*`, for all targets whose names differ in the last part only."""
    return f"{name[: name.rfind('/') + 1]}*"


def everything(_name: str) -> str:
    """Return `*`, for all targets."""
    return "*"
