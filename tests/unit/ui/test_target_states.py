"""What a page shows of a target follows from its last events, and from whether the run goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.apply import events
from marin_build.apply.journal import event_line, parse_entries
from marin_build.apply.run_summary import GrowingSummary
from marin_build.emit.graph.details import About
from marin_build.emit.graph.page_data import page_data
from marin_build.emit.graph.picture import STATES, Node, Picture
from marin_build.plan import outcomes
from marin_build.ui.target_states import LIVE_STATES, PLANNED, state_facts
from tests.page_reader import nodes_in

if TYPE_CHECKING:
    from marin_build.apply.events import Event

NOW = datetime(2026, 11, 21, 10, 20, 30, tzinfo=UTC)
FAILED = outcomes.Failed(1, 3, "no good\nat all", "b.log", 0.5)
AGAIN = outcomes.Failed(1, 3, "no good", "b.log", 0.5, retries_left=2, retry_in=30.0)
JOB = events.JobMoved("b", "b_1", "slurm:7", "queued", "Priority")
BEGUN = events.StepStarted("b", "b_1", 1)


def ended(outcome: outcomes.End) -> events.StepEnded:
    return events.StepEnded("b", "b_1", outcome)


def facts(*told: Event, is_over: bool = False) -> dict[str, Any]:
    growing = GrowingSummary()
    for at, event in enumerate(told):
        for entry in parse_entries(event_line(event, NOW, float(at))):
            assert growing.add(entry) == "b_1"
    return state_facts(growing.targets["b_1"], is_over=is_over)


@pytest.mark.parametrize(
    ("told", "state", "when_over"),
    [
        ([BEGUN], "running", "interrupted"),
        ([BEGUN, JOB], "queued", "interrupted"),
        ([BEGUN, JOB, events.JobMoved("b", "b_1", "slurm:7", "running", "", "n1")], "running",
         "interrupted"),
        ([BEGUN, ended(outcomes.Succeeded(1, 0.5))], "built", "built"),
        ([ended(outcomes.Reused())], "reused", "reused"),
        ([BEGUN, ended(FAILED)], "failed", "failed"),
        ([BEGUN, ended(AGAIN)], "waiting", "failed"),
        ([BEGUN, ended(FAILED), BEGUN], "running", "interrupted"),
        ([BEGUN, ended(outcomes.Stopped("its lease was lost"))], "stopped", "stopped"),
        ([BEGUN, ended(outcomes.Interrupted())], "interrupted", "interrupted"),
        ([ended(outcomes.Blocked("a"))], "blocked", "blocked"),
        ([BEGUN, events.StepWaiting("b", "b_1", "bob@tpu", 1.0, 60.0)], "held", "held"),
    ],
)  # fmt: skip
def test_each_end_has_its_state(told: list[Event], state: str, when_over: str) -> None:
    """Else a page says that something runs which a kill has ended."""
    assert facts(*told)["state"] == state
    assert facts(*told, is_over=True)["state"] == when_over


def test_the_page_gets_what_its_panel_shows_and_nothing_empty() -> None:
    assert facts(BEGUN) == {"state": "running", "since": 0.0}
    assert facts(BEGUN, ended(FAILED)) == {
        "state": "failed", "attempt": 1, "code": 3, "message": "no good\nat all", "seconds": 0.5,
    }  # fmt: skip
    assert facts(BEGUN, JOB) == {"state": "queued", "message": "Priority", "job": "slurm:7"} | {
        "since": 0.0
    }
    assert facts(BEGUN, ended(AGAIN))["again"] is True
    assert facts(ended(FAILED), BEGUN)["since"] == 1.0


def test_a_long_message_is_cut() -> None:
    """Else one target fills the memory of a browser."""
    failed = outcomes.Failed(1, 1, "x" * 100_000, "l", 0.5)
    assert len(facts(BEGUN, ended(failed))["message"]) < 3000


def test_every_state_of_a_plan_has_one_of_a_run() -> None:
    assert set(PLANNED) == set(STATES)
    nodes = tuple(Node(state, state, state, "", (), "", is_command=False) for state in STATES)
    picture = Picture(nodes, ())
    data = page_data(picture, About(title="t"), (), states=LIVE_STATES, shown=PLANNED)
    assert data["states"] == list(LIVE_STATES)
    shown = {node["name"]: LIVE_STATES[node["state"]] for node in nodes_in(data)}
    assert shown == dict(PLANNED)
    assert LIVE_STATES[0] == "reused", "the scripts of the page take the first state for done"
