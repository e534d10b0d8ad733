"""Measure marin-build and its peers; from the root of the repository, with its Python."""

from __future__ import annotations

import argparse
import datetime as dt
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from benchmarks import aims, graph_shapes, machine
from benchmarks.campaign import (
    Graph,
    Results,
    Series,
    Settings,
    StartUp,
    measure_all,
    measure_turns,
)
from benchmarks.live_view import LiveView, measure_live_view
from benchmarks.measure import Command, adopt_orphans
from benchmarks.report import Page, render
from benchmarks.scratch import scratch
from benchmarks.tools import marin_build
from benchmarks.tools.base import Case, Measure
from benchmarks.tools.doit import Doit
from benchmarks.tools.floor import Floor
from benchmarks.tools.marin_build import MarinBuild
from benchmarks.tools.ninja import Ninja
from benchmarks.tools.snakemake import Snakemake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.scratch import Scratch
    from benchmarks.tools.base import Tool

GRAPHS = "layers:1000:3,chain:1000:3,layers:10000:2"
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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument(
        "--graphs",
        type=_list(_graph),
        default=GRAPHS,
        metavar="SHAPE:STEPS:REPEAT,...",
        help=f"measured in this order, each measure up to REPEAT times (default: {GRAPHS}); "
        f"shapes are {', '.join(graph_shapes.SHAPES)}",
    )
    parser.add_argument("--tools", type=_list(_one_of(names)), default=names)
    parser.add_argument(
        "--measures",
        type=_list(_one_of(list(MEASURES))),
        default=list(MEASURES),
        help=f"of {', '.join(MEASURES)}; what comes after `full` needs it",
    )
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
    with scratch() as folders:
        _measure(arguments, folders, described, tools, _command(argv))
    return 0


def _measure(
    arguments: argparse.Namespace,
    folders: Scratch,
    described: list[tuple[str, str]],
    tools: list[Tool],
    command: str,
) -> None:
    """Measure, rewrite the page after each graph, print it."""
    versions = [(tool.name, tool.version()) for tool in tools]
    start = _start_up(folders, arguments.timeout)
    live = measure_live_view(folders, arguments.timeout) if _builds(arguments) else LiveView()

    def page(results: Results) -> str:
        return render(
            Page(
                date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
                command=command,
                machine=described,
                tools=versions,
                graphs=len(arguments.graphs),
                results=results,
                start=start,
                verdicts=aims.judge(results, start, live),
            )
        )

    def write(results: Results) -> None:
        if arguments.output is not None:
            arguments.output.write_text(page(results))

    settings = Settings(
        graphs=arguments.graphs,
        tools=tools,
        measures=[kind for name, kind in MEASURES.items() if name in arguments.measures],
        timeout=arguments.timeout,
    )
    print(page(measure_all(settings, folders, write)))


def _start_up(scratch: Scratch, timeout: float) -> StartUp:
    """Measure `python -c pass`, `marin-build --version` and two small plans, taking turns."""
    missing = Series(problem="not installed")
    folder = scratch.new_folder("start-up")
    commands = [Command((sys.executable, "-c", "pass"), folder)]
    program = marin_build.program()
    if program is not None:
        commands.append(Command((program, "--version"), folder))
        for size in (graph_shapes.SMALLEST, graph_shapes.FEW):
            case = Case("layers", size, scratch.new_folder(f"start-up-{size}"))
            MarinBuild().prepare(case)
            commands.append(MarinBuild().command(Measure.PLAN, case))
    found = measure_turns(commands, START_UPS, timeout)
    bare, version, plan, few = [*found, missing, missing, missing][:4]
    return StartUp(bare, version, plan, few)


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


def _graph(text: str) -> Graph:
    """Parse `SHAPE:STEPS:REPEAT`."""
    shape, _, numbers = text.partition(":")
    try:
        size, repeat = map(int, numbers.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` is not SHAPE:STEPS:REPEAT") from None
    if size < graph_shapes.SMALLEST or repeat < 1:
        least = f"{graph_shapes.SMALLEST} steps, measured once"
        raise argparse.ArgumentTypeError(f"`{text}`: the least is {least}")
    return Graph(_one_of(list(graph_shapes.SHAPES))(shape), size, repeat)


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
