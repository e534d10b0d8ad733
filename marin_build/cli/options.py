"""Options that every command which reads a pipeline has."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, get_args

import click

from marin_build.cli.terminal import moves_cursor
from marin_build.errors import UsageError
from marin_build.operations.loading.options import PipelineOptions
from marin_build.store.slow_requests import SlowRequests, reporting
from marin_build.text.readable import shortened
from marin_build.workspace.workspace import CodePolicy

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from marin_build.observe.read_remote_sources import ReadingInputs
    from marin_build.store.slow_requests import SlowRequest


_FILE_HELP = (
    "The pipeline: a file or a module, and perhaps a function of it: path/to/file.py, "
    "package.module, package.module:function [default: pipeline.py]."
)
_OPTIONS = (
    click.option("--prefix", metavar="URL", help="Where outputs live, a folder or a URL."),
    click.option("--profile", metavar="NAME", help="A profile of the configuration."),
    click.option(
        "--engine",
        metavar="NAME",
        help="Where actions run: an engine, or rules (gpu=slurm); `doctor` lists them.",
    ),
    click.option(
        "--set",
        "settings",
        metavar="KEY=VALUE",
        multiple=True,
        help="A parameter of pipeline(), an option of the file's own command line, or "
        "env:VARIABLE for an environment variable; may be given several times.",
    ),
    click.option(
        "--params",
        type=click.Path(),
        metavar="FILE",
        multiple=True,
        help="A TOML, YAML or JSON file of parameters; of several the later one wins, and --set "
        "wins over all.",
    ),
    click.option(
        "--code-policy",
        type=click.Choice(get_args(CodePolicy)),
        help="Policy for changed code, for steps that declare none [default: report].",
    ),
    click.option(
        "--no-analysis-cache",
        is_flag=True,
        help="Load the pipeline, whatever is kept of what earlier loads of it gave.",
    ),
)


def pipeline_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options above to a command, whose function gets them as one value, `options`."""
    return click.option("-f", "--file", metavar="FILE", help=_FILE_HELP)(_other_options(function))


def pipeline_options_without_f(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options with `--file` but no `-f`, for `logs`, where `-f` means `--follow`."""
    return click.option("--file", metavar="FILE", help=_FILE_HELP)(_other_options(function))


def _other_options(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(
        file: str | None,
        prefix: str | None,
        profile: str | None,
        engine: str | None,
        settings: tuple[str, ...],
        params: tuple[str, ...],
        code_policy: CodePolicy | None,
        *,
        no_analysis_cache: bool,
        **rest: Any,
    ) -> Any:
        parameters = parse_pairs(settings)
        options = PipelineOptions(
            file,
            prefix,
            profile,
            engine,
            parameters,
            code_policy,
            no_analysis=no_analysis_cache,
            on_progress=_show_progress,
            params=params,
        )
        with told_of_waiting():
            return function(options=options, **rest)

    wrapper.__name__, wrapper.__doc__ = function.__name__, function.__doc__
    wrapper.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(_OPTIONS):
        wrapper = option(wrapper)
    return wrapper


def told_of_waiting() -> AbstractContextManager[None]:
    """Return a block in which standard error says for which answers of a store the command waits.

    On a terminal that is one line, which is erased; elsewhere a line now and then.
    """

    def tell(request: SlowRequest | None) -> None:
        from marin_build.cli.views.waiting_text import show_waiting

        show_waiting(request)

    is_redrawn = moves_cursor(sys.stderr)
    return reporting(SlowRequests(tell, longest_pause=1.0) if is_redrawn else SlowRequests(tell))


def _show_progress(progress: ReadingInputs) -> None:
    from marin_build.cli.views.warnings import show_reading

    show_reading(progress)


def parse_pairs(settings: tuple[str, ...]) -> dict[str, str]:
    """Return `--set` options as a mapping."""
    pairs: dict[str, str] = {}
    if not settings:
        return pairs
    from marin_build.pipeline.program_surroundings import is_parameter_name

    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not is_parameter_name(key):
            raise UsageError(f"`--set {shortened(setting)}` is not KEY=VALUE")
        if pairs.setdefault(key, value) != value:
            raise UsageError(
                f"`--set` gives the parameter `{key}` two values",
                consequence="nothing was run",
            )
    return pairs


def parse_budgets(words: tuple[str, ...]) -> dict[str, str]:
    """Return `--budget` options as a mapping.

    Raises:
        UsageError: one is not NAME=AMOUNT, or an amount is not legal.

    """
    from marin_build.operations.planning.budgets import check_budgets

    given = {}
    for word in words:
        name, equals, amount = word.partition("=")
        if not equals:
            raise UsageError(f"`--budget {word}` is not NAME=AMOUNT")
        given[name] = amount
    check_budgets(given)
    return given


budget_option = click.option(
    "--budget",
    "budgets",
    metavar="NAME=AMOUNT",
    multiple=True,
    help="The amount of cpu, ram (16Gi), gpu, tpu or a named budget that steps may take.",
)
