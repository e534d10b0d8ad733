"""What a pipeline's file finds around it when it is loaded: its arguments, and its variables.

`--set name=value` gives the file's own command line `--name=value`; `--set env:NAME=value` sets an
environment variable. Both are parameters of the pipeline: a plan records them, and every worker
that loads the file again gives it the same.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from marin_build.errors import UsageError
from marin_build.pipeline.parameter_texts import as_options, is_json, plain_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


VARIABLE = "env:"
"""Begins the name of a parameter that is an environment variable."""
WORDS = "argv"
"""The parameter that holds words of the command line, as a shell reads them."""
_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def is_parameter_name(name: str) -> bool:
    """Return whether `--set` takes a name.

    It is that of an option, of a parameter or of a part of one, `env:VARIABLE` or `json:NAME`.
    """
    if name.startswith(VARIABLE):
        return _VARIABLE_NAME.fullmatch(name.removeprefix(VARIABLE)) is not None
    return _NAME.fullmatch(plain_name(name)) is not None


def own_parameters(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that are no environment variables."""
    return {name: text for name, text in parameters.items() if not name.startswith(VARIABLE)}


def arguments_of(parameters: Mapping[str, str]) -> list[str]:
    """Return the words that a file's own command line gets.

    They are in the order of their names, so that a plan that is loaded again gives the same ones.
    A parameter without a text is a flag.

    Raises:
        UsageError: the words of `argv` have a quotation mark too few.

    """
    named = sorted(own_parameters(parameters).items(), key=lambda each: not is_json(each[0]))
    texts = {key: text for name, value in named for key, text in as_options(name, value).items()}
    own = sorted(texts.items())
    options = [f"--{name}={text}" if text else f"--{name}" for name, text in own if name != WORDS]
    try:
        return [*options, *shlex.split(parameters.get(WORDS, ""))]
    except ValueError as error:
        raise UsageError(
            f"`--set {WORDS}=...` are no words: {error}", consequence="nothing was run"
        ) from error


@contextmanager
def as_program(file: str, parameters: Mapping[str, str]) -> Iterator[None]:
    """Give a pipeline's file its arguments for the time of a block.

    Its variables stay: the functions of its steps read them, too.
    """
    arguments = arguments_of(parameters)
    before = sys.argv
    for name, text in parameters.items():
        if name.startswith(VARIABLE):
            os.environ[name.removeprefix(VARIABLE)] = text
    sys.argv = [file, *arguments]
    try:
        yield
    finally:
        sys.argv = before
