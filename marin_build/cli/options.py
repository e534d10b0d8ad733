"""Options that every command which reads a pipeline has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import click

from marin_build.errors import UsageError
from marin_build.operations.options import PipelineOptions
from marin_build.text import shortened
from marin_build.workspace import CodePolicy

if TYPE_CHECKING:
    from collections.abc import Callable


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
        help="Where actions run; `marin-build doctor` lists the engines.",
    ),
    click.option(
        "--set",
        "settings",
        metavar="KEY=VALUE",
        multiple=True,
        help="A parameter of pipeline(); may be given several times.",
    ),
    click.option(
        "--code-policy",
        type=click.Choice(get_args(CodePolicy)),
        help="What changed code does to steps that do not say [default: report].",
    ),
)


def pipeline_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options above; it gets them as one `options`."""
    return click.option("-f", "--file", metavar="FILE", help=_FILE_HELP)(_other_options(function))


def pipeline_options_without_f(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the same options, where `-f` means something else to everybody."""
    return click.option("--file", metavar="FILE", help=_FILE_HELP)(_other_options(function))


def _other_options(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(
        file: str | None,
        prefix: str | None,
        profile: str | None,
        engine: str | None,
        settings: tuple[str, ...],
        code_policy: CodePolicy | None,
        **rest: Any,
    ) -> Any:
        parameters = parse_pairs(settings)
        options = PipelineOptions(file, prefix, profile, engine, parameters, code_policy)
        return function(options=options, **rest)

    wrapper.__name__, wrapper.__doc__ = function.__name__, function.__doc__
    wrapper.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(_OPTIONS):
        wrapper = option(wrapper)
    return wrapper


def parse_pairs(settings: tuple[str, ...]) -> dict[str, str]:
    """Return `--set` options as a mapping."""
    pairs: dict[str, str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.isidentifier():
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
        UsageError: one is not NAME=AMOUNT, or an amount means nothing.

    """
    from marin_build.operations.budgets import check_budgets

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
    help="How much there is of cpu, ram (16Gi), gpu, tpu, or of what steps name.",
)
