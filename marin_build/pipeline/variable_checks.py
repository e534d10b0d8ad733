"""Checks the environment variables of a step when it is declared."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from marin_build.pipeline.command_limits import LONGEST_WORD
from marin_build.text.readable import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def variable_problems(env_vars: Mapping[Any, Any]) -> Iterator[str]:
    """Yield what is wrong with the environment variables of a step."""
    for key, value in env_vars.items():
        if problem := _variable_problem(key, value):
            yield problem


def _variable_problem(key: object, value: object) -> str | None:
    """Return what is wrong with an environment variable; its value may be a secret: not shown."""
    if type(key) is not str:
        kind = type(key).__name__
        return f"the name of the environment variable `{key!r}` is of the type {kind}, not a string"
    if not key:
        return "an environment variable has an empty name"
    for sign, word in (("=", "`=`"), ("\0", "a null character")):
        if sign in key:
            return f"the name of the environment variable {key!r} contains {word}"
    named = f"the environment variable `{shortened(key)}`"
    if type(value) is not str:
        return f"{named} is of the type {type(value).__name__}, not a string"
    if "\0" in value:
        return f"{named} has a value with a null character, which no program can be given"
    try:
        size = len(os.fsencode(f"{key}={value}"))
    except UnicodeEncodeError:
        return f"{named} has a name or a value that is no Unicode text"
    if size > LONGEST_WORD:
        return (
            f"{named} has {size} bytes, and Linux gives programs at most {LONGEST_WORD}: "
            "give it as a file"
        )
    return None
