"""What stands for many targets in one line: what their names have in common."""

from __future__ import annotations


def same_name(name: str) -> str:
    """`train_*`: all targets of one name."""
    return f"{name}_*"


def folder(name: str) -> str:
    """`train/*`: all whose names differ in the last part only."""
    head, slash, _ = name.rpartition("/")
    return f"{head}{slash}*"


def everything(_name: str) -> str:
    """`*`: all of them."""
    return "*"
