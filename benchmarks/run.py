"""Measure marin-build and its peers; from the root of the repository, with its Python."""

from __future__ import annotations

import argparse
import datetime as dt
import shlex
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from benchmarks import aims, graph_shapes, machine
from benchmarks.campaign import Results, Series, Settings, StartUp, measure_all, measure_turns
from benchmarks.live_view import LiveView, measure_live_view
from benchmarks.measure import Command, adopt_orphans
from benchmarks.report import Page, render
from benchmarks.tools import marin_build
from benchmarks.tools.base import Case, Measure
from benchmarks.tools.doit import Doit
from benchmarks.tools.floor import Floor
from benchmarks.tools.marin_build import MarinBuild
from benchmarks.tools.ninja import Ninja
from benchmarks.tools.snakemake import Snakemake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.tools.base import Tool

START_UPS = 20
"""How often `--version`, its floor and the smallest plan are run."""
MEASURES = {"plan": Measure.PLAN, "explain": Measure.EXPLAIN, "full": Measure.FULL,
            "no-op": Measure.NOOP, "changed": Measure.CHANGED}  # fmt: skip
"""By their names on the command line, in the order in which they are taken."""


def make_tools(venv: Path | None) -> dict[str, Tool]:
    """Return all tools by name, in the order of the tables."""
    tools: list[Tool] = [
        Floor(),
        MarinBuild(),
        MarinBuild("marin-build-worker", "worker"),
        MarinBuild("marin-build-thread", "thread"),
        MarinBuild("marin-build-thread-1", "thread", "1"),
        Ninja(venv),
        Doit(venv),
        Snakemake(venv),
    ]
    return {tool.name: tool for tool in tools}


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the arguments; argparse ends the program (status 2) if they are wrong."""
    names = list(make_tools(None))
    shapes = list(graph_shapes.SHAPES)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--sizes", type=_list(_size), default=[100, 1_000, 10_000, 100_000])
    parser.add_argument("--shapes", type=_list(_one_of(shapes)), default=shapes)
    parser.add_argument("--tools", type=_list(_one_of(names)), default=names)
    parser.add_argument(
        "--measures",
        type=_list(_one_of(list(MEASURES))),
        default=list(MEASURES),
        help=f"of {', '.join(MEASURES)}; what comes after `full` needs it",
    )
    parser.add_argument("--repeat", type=int, default=5, help="the most runs of one measure")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for one run")
    parser.add_argument("--peers-venv", type=Path, help="the environment of the other tools")
    parser.add_argument("--output", type=Path, help="also write the page to this file")
    arguments = parser.parse_args(argv)
    if "full" not in arguments.measures and {"no-op", "changed"} & set(arguments.measures):
        parser.error("`no-op` and `changed` are measured on what `full` has built")
    return arguments


def main(argv: Sequence[str]) -> int:
    """Measure, print the page, write it if asked to; return 0, whether aims are met or not."""
    arguments = parse(argv)
    signal.signal(signal.SIGTERM, _terminate)
    adopt_orphans()
    described = machine.describe()
    known = make_tools(arguments.peers_venv)
    tools = [known[name] for name in known if name in arguments.tools]
    versions = [(tool.name, tool.version()) for tool in tools]
    start = _start_up(arguments.timeout)
    live = measure_live_view(arguments.timeout) if _builds(arguments) else LiveView()

    def page(results: Results) -> str:
        return render(
            Page(
                date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
                command=_command(argv),
                machine=described,
                tools=versions,
                graphs=len(arguments.shapes) * len(arguments.sizes),
                results=results,
                start=start,
                verdicts=aims.judge(results, start, live),
            )
        )

    def write(results: Results) -> None:
        if arguments.output is not None:
            arguments.output.write_text(page(results))

    settings = Settings(
        shapes=arguments.shapes,
        sizes=arguments.sizes,
        tools=tools,
        measures=[kind for name, kind in MEASURES.items() if name in arguments.measures],
        repeat=max(1, arguments.repeat),
        timeout=arguments.timeout,
    )
    print(page(measure_all(settings, write)))
    return 0


def _start_up(timeout: float) -> StartUp:
    """Measure `python -c pass`, `marin-build --version` and the smallest plan, taking turns."""
    missing = Series(problem="not installed")
    with tempfile.TemporaryDirectory(prefix="marin-build-bench-") as folder:
        commands = [Command((sys.executable, "-c", "pass"), Path(folder))]
        program = marin_build.program()
        if program is not None:
            case = Case("layers", graph_shapes.SMALLEST, Path(folder))
            MarinBuild().prepare(case)
            commands.append(Command((program, "--version"), Path(folder)))
            commands.append(MarinBuild().command(Measure.PLAN, case))
        found = measure_turns(commands, START_UPS, timeout)
    bare, version, plan = [*found, missing, missing][:3]
    return StartUp(bare, version, plan)


def _builds(arguments: argparse.Namespace) -> bool:
    """Return whether builds of marin-build are measured."""
    return "full" in arguments.measures and "marin-build" in arguments.tools


def _command(argv: Sequence[str]) -> str:
    """Return the command that was given, without what it says of this machine's paths."""
    shown = list(argv)
    for at, argument in enumerate(shown):
        if argument.startswith("--peers-venv="):
            shown[at] = "--peers-venv=DIR"
        elif at > 0 and shown[at - 1] == "--peers-venv":
            shown[at] = "DIR"
        elif at > 0 and shown[at - 1] == "--output" and Path(argument).is_absolute():
            shown[at] = Path(argument).name
    return shlex.join(["python", "-m", "benchmarks.run", *shown])


def _list(item: Callable[[str], object]) -> Callable[[str], list[object]]:
    """Return a parser of comma-separated values, each at most once."""

    def parse_list(text: str) -> list[object]:
        return list(dict.fromkeys(item(part) for part in text.split(",") if part))

    return parse_list


def _size(text: str) -> int:
    number = int(text)
    if number < graph_shapes.SMALLEST:
        raise argparse.ArgumentTypeError(f"sizes begin at {graph_shapes.SMALLEST}: {text}")
    return number


def _one_of(names: Sequence[str]) -> Callable[[str], str]:
    def parse_name(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"`{text}` is not one of {', '.join(names)}")
        return text

    return parse_name


def _terminate(signum: int, _frame: object) -> NoReturn:
    """Unwind, so that folders and processes are cleared away."""
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
