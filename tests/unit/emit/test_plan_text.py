"""What people see of a plan: the right lines, few enough, and nothing hostile among them."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build import ResourceConfig, StepSpec
from marin_build.emit.plan_rows import Row, folded
from marin_build.emit.plan_text import plan_markdown, plan_text, radius_markdown, radius_text
from marin_build.emit.plan_view import show
from marin_build.plan import block_reasons as blocks
from marin_build.plan import reasons as why
from marin_build.plan.blast_radius import blast_radius
from marin_build.plan.decisions import Decision, Kind, Plan
from marin_build.plan.drift import Drift
from marin_build.plan.estimate import Estimate, estimate_plan
from marin_build.plan.find_drift import environment_drift
from marin_build.plan.regions import CrossRegionRead
from marin_build.plan.snapshot import Snapshot
from marin_build.protocol.provenance import Environment
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.pipeline.targets import Targets

CHANGED = why.IdentityChanged(
    (why.Change("attrs.seq_len", 4096, 8192, "attrs.seq_len 4096 -> 8192"),),
    "t",
    "r",
    "ada",
    "2026",
)
FOLLOWS = why.IdentityChanged(
    (
        why.Change(
            "deps.tokenize/dclm",
            "tokenize/dclm_1",
            "tokenize/dclm_2",
            "needs tokenize/dclm, which changed",
            "attrs.seq_len 4096 -> 8192",
        ),
    ),
    "t",
    "r",
    "ada",
    "2026",
)
HOUR = 3600.0


@pytest.fixture
def plan(make: Callable[..., Targets]) -> Plan:
    """A change of one attribute, what follows from it, and what does not."""
    tpu = ResourceConfig.with_tpu("v5p-64")
    tokens = StepSpec(name="tokenize/dclm", fn=print, declared=("pipeline.py", 41))
    other = StepSpec(name="tokenize/wiki", fn=print, declared=("pipeline.py", 42))
    model = StepSpec(name="train/dclm-1b", fn=print, deps=[tokens], resources=tpu)
    new = StepSpec(name="train/new", fn=print, deps=[other], resources=tpu)
    targets = make(model, new)
    reason_of: dict[str, tuple[Kind, why.Reason]] = {
        "tokenize/dclm": (Kind.RUN, CHANGED),
        "train/dclm-1b": (Kind.RUN, FOLLOWS),
        "train/new": (Kind.RUN, why.NeverBuilt()),
        "tokenize/wiki": (Kind.REUSE, why.BuiltBefore("r-1", "ada@host", "2026-11-21T10:20:30")),
    }
    decisions = [Decision(i, *reason_of[t.name]) for i, t in enumerate(targets.all)]
    return Plan(targets, targets.requested, tuple(decisions), frozenset(), Snapshot())


def _estimate(plan: Plan) -> Any:
    hours = {"tokenize/dclm": 2.1, "train/dclm-1b": 9.0}
    steps = {}
    for index in plan.to_build:
        name = plan.targets.all[index].name
        seconds = hours[name] * HOUR if name in hours else None
        cost = 2410.0 if name == "train/dclm-1b" else None
        steps[index] = Estimate(seconds, 3, cost, is_charged=cost is not None)
    return estimate_plan(steps, plan.targets.deps, 2)


def _text(plan: Plan, **rest: Any) -> str:
    again = ("to build it", "marin-build apply")
    return plan_text(show(plan, "p-81c2d3e4", again, _estimate(plan), {}, **rest))


def _without_hashes(text: str, plan: Plan) -> str:
    for target in plan.targets.all:
        text = text.replace(target.fingerprint[:8], "xxxxxxxx")
    return text


def test_a_plan_is_read_in_five_seconds(plan: Plan) -> None:
    """Else nobody reads it before a step worth thousands of dollars."""
    lines = _without_hashes(_text(plan), plan).splitlines()
    changed, followed, new = lines[:3]
    assert changed.split("  ")[1:5] == [
        "~ rebuild",
        "tokenize/dclm_xxxxxxxx",
        "attrs.seq_len 4096 -> 8192 (pipeline.py:41)",
        "",
    ]
    why_it_follows = "needs tokenize/dclm, which changed: attrs.seq_len 4096 -> 8192"
    assert followed == (
        f"  ! cascade  train/dclm-1b_xxxxxxxx  {why_it_follows}  9 h    v5p-64  $2,410"
    )
    assert changed.index("2.1 h") == followed.index("9 h")
    assert new.index("v5p-64") == followed.index("v5p-64")
    assert new.startswith("  + build    train/new_xxxxxxxx      never built   ")
    assert lines[3:] == [
        "  = 1 reused, not shown (-v shows them)",
        (
            "plan p-81c2d3e4: 3 to build (1 build, 1 rebuild, 1 cascade), 1 reused"
            " - at least 11 h on the critical path, about $2,410; no history: 1 of 3"
        ),
        "to build it: marin-build apply",
    ]


def test_only_what_was_asked_for_is_shown(plan: Plan) -> None:
    lines = _text(plan, only=["cascade", "reuse"]).splitlines()
    assert [line.split()[1] for line in lines[:-2]] == ["cascade", "reuse"]
    assert "not shown" not in "".join(lines)


def test_everything_is_shown_if_asked_for(plan: Plan) -> None:
    lines = _text(plan, verbose=True).splitlines()
    assert len(lines) == 6
    assert "built 2026-11-21 10:20 UTC by ada@host, run r-1 (pipeline.py:42)" in lines[2]


def test_drift_in_the_same_words_is_one_line(make: Callable[..., Targets]) -> None:
    """Else an upgrade of one distribution is a wall of text."""
    upgrade = Drift(environment=environment_drift(Environment("3.11.1"), Environment("3.12.4")))
    targets = make(*(StepSpec(name=f"s{i}", fn=print) for i in range(4)))
    built = why.BuiltBefore("r-1", "ada@host", "2026-11-21T10:20:30")
    decisions = tuple(Decision(i, Kind.REUSE, built) for i in range(3))
    plan = Plan(targets, (0, 1, 2), decisions, frozenset(), Snapshot())
    drift = {0: upgrade, 1: upgrade, 2: Drift(is_unexplained=True), 3: upgrade}  # 3 was pruned
    again = ("to build it", "marin-build apply")
    rows = show(plan, "p-1", again, estimate_plan({}, targets.deps, 1), drift).rows
    assert [(row.verb, row.targets, row.why) for row in rows] == [
        ("drift", 3, "environment changed since built: Python 3.11.1 -> 3.12.4; reused"),
        ("drift", 1, "code changed since built, and its source was not kept; reused"),
    ]
    each = show(plan, "p-1", again, estimate_plan({}, targets.deps, 1), drift, verbose=True).rows
    assert [row.target for row in each] == [targets.all[i].id for i in (0, 1, 2, 3)]


def test_reads_across_regions_are_warned_of_those_of_most_bytes_first(plan: Plan) -> None:
    """Else a bill for traffic is the first to tell."""
    reads = [
        CrossRegionRead("train", f"part-{i}", ("us-east5",), "europe-west4", i * 2**30 or None)
        for i in range(8)
    ]
    warnings = [line for line in _text(plan, reads=reads).splitlines() if "warning" in line]
    assert len(warnings) == 6
    assert warnings[0] == (
        "  warning: train runs in us-east5 and reads part-7, 7.0 GiB, from europe-west4"
    )
    assert warnings[-1] == "  warning: 3 more reads across regions, 3.0 GiB (-v shows them)"


def _row(name: str, why_: str = "never built", verb: Any = "build", **rest: Any) -> Row:
    return Row(verb, name, f"{name}_00000000", 1, why_, rest.pop("topic", why_), **rest)


def test_a_few_rows_are_left_alone() -> None:
    rows = [_row(f"a/{i}") for i in range(50)]
    assert folded(rows) == rows


def test_many_rows_that_say_the_same_become_one() -> None:
    """Else the line that matters is one of ten thousand."""
    rows = [_row(f"a/{i}", seconds=2.0, cost=1.0) for i in range(60)]
    rows += [_row(f"b/{i}") for i in range(60)]
    rows += [_row("a/odd", "attrs.n 1 -> 2", "rebuild"), _row("b/odd", "forced", "rebuild")]
    assert [(row.verb, row.target, row.targets, row.why) for row in folded(rows)] == [
        ("build", "a/*", 60, "never built"),
        ("build", "b/*", 60, "never built"),
        ("rebuild", "a/odd_00000000", 1, "attrs.n 1 -> 2"),
        ("rebuild", "b/odd_00000000", 1, "forced"),
    ]
    assert (folded(rows)[0].seconds, folded(rows)[0].cost) == (120.0, 60.0)
    assert (folded(rows)[1].seconds, folded(rows)[1].cost) == (None, None)


def test_a_sweep_is_one_line() -> None:
    rows = [
        _row("train", f"rate 1 -> {i}", "rebuild", topic="rate changed")._replace(target=f"t_{i}")
        for i in range(99)
    ]
    (row,) = folded(rows)
    assert (row.target, row.targets, row.why) == ("train_*", 99, "rate changed")


@given(st.text())
def test_nothing_in_a_line_moves_the_cursor_or_turns_the_text(text: str) -> None:
    """Else a message of a failed step forges the lines above it."""
    assert printable(text).isprintable()


def test_markdown_has_a_table_and_a_command(plan: Plan) -> None:
    again = ("to build it", "marin-build apply")
    shown = show(plan, "p-81c2d3e4", again, _estimate(plan), {})
    lines = _without_hashes(plan_markdown(shown), plan).splitlines()
    assert lines[0].startswith("**plan p-81c2d3e4: 3 to build (1 build, 1 rebuild, 1 cascade)")
    assert lines[2:4] == [
        "|  | target | why | time | on | cost |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    assert lines[5] == (
        "| `! cascade` | `train/dclm-1b_xxxxxxxx` | "
        "`needs tokenize/dclm, which changed: attrs.seq_len 4096 -> 8192` | "
        "`9 h` | `v5p-64` | `$2,410` |"
    )
    assert lines[-1] == "to build it: `marin-build apply`"


def test_a_blast_radius_names_causes_and_groups(plan: Plan) -> None:
    """Else nobody knows which of three changes costs the money."""
    radius = blast_radius(plan, _estimate(plan))
    lines = _without_hashes(radius_text(radius), plan).splitlines()
    assert [line.split() for line in lines[1:4]] == [
        ["because", "of", "reruns", "time", "cost"],
        ["tokenize/dclm_xxxxxxxx", "attrs.seq_len", "4096", "->", "8192", "2", "11", "h", "$2,410"],
        ["train/new_xxxxxxxx", "never", "built", "1"],
    ]
    assert lines[5:] == [
        "  group     reruns  time   cost",
        "  train     2 of 2  9 h    $2,410",
        "  tokenize  1 of 2  2.1 h",
    ]
    assert radius_markdown(radius).count("\n| --- |") == 2


def test_a_terminal_gets_the_same_words(plan: Plan) -> None:
    from rich.console import Console

    from marin_build.cli.views.plan_terminal import show_on_terminal

    screen = Console(file=io.StringIO(), width=200, color_system=None, highlight=False)
    again = ("to build it", "marin-build apply")
    shown = show(plan, "p-81c2d3e4", again, _estimate(plan), {})
    show_on_terminal(replace(shown), None, screen)
    assert isinstance(screen.file, io.StringIO)
    plain = [line.split() for line in screen.file.getvalue().splitlines()]
    assert plain == [line.split() for line in plan_text(shown).splitlines()]


_NAMES = st.lists(st.sampled_from("abcd"), min_size=1, max_size=2).map("/".join)
_REASONS: list[tuple[Kind, why.Reason]] = [
    (Kind.RUN, why.NeverBuilt()),
    (Kind.RUN, CHANGED),
    (Kind.RUN, FOLLOWS),
    (Kind.RUN, why.Doubtful("r-1")),
    (Kind.REUSE, why.BuiltBefore("r-1", "ada@host", "2026")),
    (Kind.BLOCKED, blocks.UpstreamBlocked("a_00000000")),
    (Kind.BLOCKED, blocks.UpstreamBlocked("b_00000000")),
]


@given(st.lists(st.tuples(_NAMES, st.sampled_from(_REASONS)), min_size=40, max_size=160), st.data())
def test_lines_that_are_merged_at_once_are_those_of_a_row_for_each_target(
    make: Callable[..., Targets], decided: list[tuple[str, tuple[Kind, why.Reason]]], data: Any
) -> None:
    """Else a plan of many steps says something else than one of few."""
    is_numbered = data.draw(st.booleans())  # else names repeat
    steps = [
        StepSpec(
            f"{name}{i}" if is_numbered else name,
            fn=print,
            hash_attrs={"i": i},
            declared=("pipeline.py", i % 3),
        )
        for i, (name, _) in enumerate(decided)
    ]
    targets = make(*steps)
    decisions = [Decision(i, *reason) for i, (_, reason) in enumerate(decided)]
    plan = Plan(targets, targets.requested, tuple(decisions), frozenset(), Snapshot())
    estimate, again = estimate_plan({}, targets.deps, 1), ("to build it", "marin-build apply")
    at_once = show(plan, "p-1", again, estimate, {})
    assert at_once == show(plan, "p-1", again, estimate, {}, place_of=lambda _step: "")
