"""The command line of an experiment whose artifacts leave their version to the run.

    if __name__ == "__main__":
        experiment_main(build)()

`--version` is the version of all of them, `--override NAME=VERSION` that of one. Without `--run`
the plan is printed. While marin-build loads the file for a plan of its own, it takes the artifacts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from marin_build.compat.build_context import BuildContext, VersionCodex, build_context
from marin_build.compat.lazy.artifact_step import ArtifactStep
from marin_build.compat.lazy.lowering import NoArtifactStepError, lower
from marin_build.compat.lazy.running import run
from marin_build.compat.versions import is_mutable_version, validate_version
from marin_build.pipeline.caught_run import is_catching
from marin_build.pipeline.dependencies_first import dependencies_first

if TYPE_CHECKING:
    from marin_build.pipeline.step_spec import StepSpec


Handle = ArtifactStep[Any]
BuildResult = Handle | Mapping[str, Handle] | list[Handle] | tuple[Handle, ...]
BuildRunner = Callable[[list[Handle], int], None]


def experiment_main(build: Callable[[], BuildResult]) -> Callable[..., None]:
    """Return the command of an experiment without options of its own.

    Args:
        build: declares the artifacts, and returns one, several, or a mapping of them.

    """
    return click.command()(build_options(build))


def build_options(fn: Callable[..., BuildResult]) -> Callable[..., None]:
    """Give a command the options of experiments. It stands below `@click.command()` and others.

    Args:
        fn: as `build` of `experiment_main`; it gets the command's other options.

    """
    return build_options_with_runner(fn, _run_here)


def build_options_with_runner(
    fn: Callable[..., BuildResult], runner: BuildRunner
) -> Callable[..., None]:
    """Give a command the options of experiments, and run its artifacts in a way of one's own.

    Args:
        fn: as for `build_options`.
        runner: called with the artifacts and `--max-concurrent` where `--run` is given.

    """

    @click.option(
        "--version",
        "default_version",
        required=True,
        callback=_checked_version,
        help="The version of artifacts that are declared without one: YYYY.MM.DD, or `dev`.",
    )
    @click.option(
        "--override",
        "overrides",
        multiple=True,
        metavar="NAME=VERSION",
        callback=_checked_overrides,
        help="Another version for one artifact. May be given several times.",
    )
    @click.option("--run", "do_run", is_flag=True, help="Build them. Default: print the plan.")
    @click.option("--max-concurrent", type=int, default=8, show_default=True, help="Steps at once.")
    @functools.wraps(fn)
    def command(
        *args: Any,
        default_version: str,
        overrides: dict[str, str],
        do_run: bool,
        max_concurrent: int,
        **kwargs: Any,
    ) -> None:
        codex = VersionCodex(default_version, overrides)
        with build_context(BuildContext(codex)):
            handles = _handles_of(fn(*args, **kwargs))
        if unused := codex.unused_overrides():
            raise click.BadParameter(
                f"no artifact took it: {', '.join(sorted(unused))}. Either the name is misspelt, "
                "or that artifact is declared with a version of its own.",
                param_hint="--override",
            )
        if is_catching():
            _run_here(handles, max_concurrent)
        elif do_run:
            runner(handles, max_concurrent)
        else:
            _print_plan(handles)

    return command


def graph_handles(handles: Sequence[Handle]) -> list[Handle]:
    """Return artifacts and all that they need, each once, after what it needs."""
    found: dict[Handle, None] = {}
    for handle in dependencies_first(handles, found.__contains__):
        found[handle] = None
    return list(found)


def _run_here(handles: list[Handle], max_concurrent: int) -> None:
    run(*handles, max_concurrent=max_concurrent)


def _print_plan(handles: Sequence[Handle]) -> None:
    """Print the steps in their order, and which of them are built anew each time."""
    everything = graph_handles(handles)
    for handle in everything:
        click.echo(_described(lower(handle)))
    click.echo("\nVersions:")
    for handle in everything:
        again = "  (mutable: built anew each time)" if is_mutable_version(handle.version) else ""
        click.echo(f"  {handle.identity}{again}")


def _described(step: StepSpec) -> str:
    needs = ", ".join(dep.target_id for dep in step.deps)
    needed = f"\n  needs {needs}" if needs else ""
    fingerprint = step.hash_attrs["fingerprint"]
    return f"{step.target_id}  fingerprint {fingerprint}\n  -> {step.output_path}{needed}"


def _handles_of(result: Any) -> list[Handle]:
    match result:
        case ArtifactStep():
            return [result]
        case Mapping():
            return list(result.values())
        case list() | tuple():
            return list(result)
    raise NoArtifactStepError(
        f"an experiment returns one ArtifactStep, several or a mapping of them, not a "
        f"{type(result).__name__}"
    )


def _checked_version(context: click.Context, option: click.Parameter, value: str) -> str:
    try:
        validate_version(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, option) from None
    return value


def _checked_overrides(
    context: click.Context, option: click.Parameter, values: Sequence[str]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in values:
        name, equals, version = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"`{value}` is not NAME=VERSION", context, option)
        if name in found:
            raise click.BadParameter(f"`{name}` is given twice", context, option)
        try:
            validate_version(version)
        except ValueError as error:
            raise click.BadParameter(f"override `{name}`: {error}", context, option) from None
        found[name] = version
    return found
