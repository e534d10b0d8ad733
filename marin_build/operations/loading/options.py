"""The options that name a pipeline, and command lines to show to people."""

from __future__ import annotations

import os
import shlex
from dataclasses import field, replace
from typing import TYPE_CHECKING

from marin_build.errors import UsageError
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.observe.read_remote_sources import ReadingInputs
    from marin_build.pipeline.program import Program
    from marin_build.workspace.workspace import CodePolicy


def words_of(*options: tuple[str, str | int | bool | None]) -> list[str]:
    """Return the options that are given, each with its value, as words of a command line.

    A flag that is set is its name alone; an option that is None or False is left out.
    """
    given = [(name, value) for name, value in options if value is not None and value is not False]
    return [w for name, value in given for w in ([name] if value is True else [name, str(value)])]


def script_line(folder: str, target: str) -> str:
    """Return the command that runs the script of a target in a plan directory."""
    return shlex.join(["bash", os.path.join(folder, "steps", target, "run.sh")])


def command_line(command: str, options: PipelineOptions, rest: Sequence[str] = ()) -> str:
    """Return `marin-build COMMAND ...` with the options that name the same pipeline."""
    return shlex.join(["marin-build", command, *option_words(options), *rest])


def option_words(options: PipelineOptions) -> list[str]:
    """Return the options as words of a command line."""
    return words_of(*given_options(options))


def words_for_a_process(options: PipelineOptions) -> list[str]:
    """Return the same for a process of ours, which gets parameters that are secrets, too."""
    words = words_of(*given_options(replace(options, parameters=None)))
    return words + [
        word
        for key, value in (options.parameters or {}).items()
        for word in ("--set", f"{key}={value}")
    ]


def given_options(options: PipelineOptions) -> list[tuple[str, str]]:
    """Return the options that are given, each as its name and its value."""
    named = [
        ("-f", options.file),
        ("--prefix", options.prefix),
        ("--profile", options.profile),
        ("--engine", options.engine),
        ("--code-policy", options.code),
        *(("--params", path) for path in options.params or ()),
    ]
    if options.parameters:
        from marin_build.text.secret_shapes import without_secret

        named += [
            ("--set", f"{key}={without_secret(key, value)}")
            for key, value in options.parameters.items()
        ]
    return [(name, value) for name, value in named if value is not None]


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """Which pipeline, with which parameters, and where its outputs live.

    Args:
        file: a file or a module, and perhaps a function of it, as `-f` names them.
        prefix: where outputs live, a folder or a URL; None: as configured.
        profile: a profile of the configuration.
        engine: an engine's name; None: as configured.
        parameters: name -> text, as `--set` gives it.
        params: files of parameters, on top of the configured one; None: not even that one, because
            `parameters` are all there are.
        code: the policy for steps that declare none; None: as configured.
        folder: where `file` is looked for; None: in the current folder.
        program: declares the steps, in place of a file.
        unbuilt: ids of targets that count as not built, `*` for all: expansions that need them
            wait.
        no_analysis: load the pipeline, whatever was kept of earlier loads, and keep nothing.
        on_progress: is told how far the reading of remote inputs is, where that takes long.

    """

    file: str | None = None
    prefix: str | None = None
    profile: str | None = None
    engine: str | None = None
    parameters: Mapping[str, str] | None = None
    params: tuple[str, ...] | None = field(default=(), kw_only=True)
    code: CodePolicy | None = None
    folder: str | None = None
    program: Program | None = None
    unbuilt: Sequence[str] = ()
    no_analysis: bool = False
    on_progress: Callable[[ReadingInputs], None] | None = field(
        default=None, compare=False, repr=False
    )


def parameter_text(name: str, value: object) -> str:
    """Return the text that `--set` would need to give a parameter this value.

    Raises:
        UsageError: the value cannot be written as JSON.

    """
    if isinstance(value, str):
        return value
    if isinstance(value, os.PathLike):
        return str(value)
    import json

    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"the parameter `{name}` cannot be written as text",
            facts=[("reason", str(error))],
            hint="give text, numbers, or lists and dicts of these",
        ) from error
