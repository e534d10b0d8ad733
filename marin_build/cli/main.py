"""The entry point, and how it ends: with an expected error, an interrupt or a bug of ours."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] == ["--version"]:
        from marin_build._version import __version__

        sys.stdout.write(f"marin-build {__version__}\n")
        return
    from marin_build.garbage_collector import collect_seldom

    collect_seldom()
    import signal

    from marin_build.cli.standard_streams import make_ready, own_output

    make_ready()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # acts like Ctrl-C until a run begins
    with own_output():
        code = run(sys.argv[1:])
    sys.exit(code)


def run(argv: list[str]) -> int:
    """Run one command line; return its exit code."""
    import click

    from marin_build.cli.group import cli
    from marin_build.cli.standard_streams import why_output_is_broken
    from marin_build.cli.terminal import echo
    from marin_build.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, MarinBuildError

    try:
        code = cli.main(args=argv, prog_name="marin-build", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except MarinBuildError as error:
        from marin_build.text.secret_shapes import masked_text

        why_output_is_broken()  # flush standard output before the error
        echo(masked_text(error.render()), err=True)
        return error.exit_code
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.exceptions.NoArgsIsHelpError as help_asked:
        sys.stdout.write(help_asked.format_message() + "\n")
        return EXIT_OK
    except click.ClickException as error:
        from marin_build.cli.usage_errors import usage_error

        echo(usage_error(error, argv), err=True, nl=False)
        return EXIT_USAGE
    except (KeyboardInterrupt, click.exceptions.Abort):
        sys.stderr.write("interrupted\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        why_output_is_broken()  # the reader closed our output: Python must not report that at exit
        return EXIT_OK
    except Exception as error:  # noqa: BLE001 - a bug of ours, and reported as one
        if isinstance(error, OSError) and (why := why_output_is_broken("\n")) is not None:
            sys.stderr.write(f"error: cannot write to standard output: {why}\n")
            return EXIT_USAGE
        return _report_bug(argv)


def _report_bug(argv: list[str]) -> int:
    """Print the traceback and the facts for a bug report; return the exit code."""
    import platform
    import traceback

    from marin_build._version import __version__
    from marin_build.cli.terminal import echo
    from marin_build.errors import EXIT_BUG

    echo(traceback.format_exc(), err=True, nl=False)
    echo(
        "error: this is a bug in marin-build\n"
        f"  version: {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
        f"  command: {' '.join(argv[:1])}\n"
        "hint: report it with everything above",
        err=True,
    )
    return EXIT_BUG
