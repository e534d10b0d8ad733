"""States of queued resources: each word of the API is an outcome, and none is a guess."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.cloud import tpu_v2

from marin_build.engines.jobs import Phase
from marin_build.engines.tpu_vm.job_states import node_state, resource_state

TABLE = json.loads((Path(__file__).parents[3] / "data" / "tpu_states.json").read_text())
MEANINGS = {
    "PENDING": (Phase.QUEUED, None),
    "RUNNING": (Phase.RUNNING, None),
    "FAILED_INFRA": (Phase.ENDED, "infra"),
    "CANCELLED": (Phase.ENDED, "infra"),  # its words say that it was
    "UNKNOWN": (Phase.UNKNOWN, None),
}


def _row(state: str, **more: Any) -> dict[str, Any]:
    return {"state": {"state": state, **more}}


@pytest.mark.parametrize(("word", "meaning"), TABLE["tpu_queued_resource"].items())
def test_a_queued_resource_is_what_the_table_says(word: str, meaning: str) -> None:
    """Else a request that waits for days counts as failed, or one that was preempted as running."""
    if meaning == "same":
        meaning = TABLE["tpu_queued_resource"]["SUSPENDING"]
    found = resource_state(_row(word))
    assert (found.phase, found.cause) == MEANINGS[meaning.partition(" ")[0]]
    assert found.words.startswith("CANCELLED") == (meaning == "CANCELLED")


@pytest.mark.parametrize("word", ["SUSPENDING", "SUSPENDED"])
def test_who_took_the_machines_away_counts(word: str) -> None:
    """Else what a person stopped starts again, and costs money again."""
    assert resource_state(_row(word, stateInitiator="USER")).words.startswith("CANCELLED")
    assert "taken away" in resource_state(_row(word, stateInitiator="SERVICE")).words


@pytest.mark.parametrize(("words", "meaning"), TABLE["tpu_node"].items())
def test_a_node_is_what_the_table_says(words: str, meaning: str) -> None:
    """Else a run waits for ever for a machine that is gone."""
    for word in words.split("/"):
        node = {"state": word}
        if word.startswith("health "):
            node = {"state": "READY", "health": word.removeprefix("health ")}
        found = node_state(node)
        assert (found.phase, found.cause) == MEANINGS[meaning]


def test_every_state_of_the_api_is_known() -> None:
    """Else a state that nobody thought of is shown as unknown."""
    states: Any = tpu_v2.QueuedResourceState.State
    for state in states:
        assert (resource_state(_row(state.name)).phase is Phase.UNKNOWN) == (not state.value)
    unclear = {"STATE_UNSPECIFIED", "DELETING", "UNHIDING", "UNKNOWN"}
    nodes: Any = tpu_v2.Node.State
    for node in nodes:
        is_unknown = node_state({"state": node.name}).phase is Phase.UNKNOWN
        assert is_unknown == (node.name in unclear)


def test_a_request_that_failed_says_why() -> None:
    """Else a person sees FAILED, and looks for the quota that is missing in a console."""
    row = _row("FAILED", failedData={"error": {"code": 8, "message": "no \x1b[1mquota\n"}})
    assert resource_state(row).words == "FAILED: no \\x1b[1mquota\\n"


@pytest.mark.parametrize("row", [{}, {"state": None}, {"state": "ACTIVE"}, _row("BORED")])
def test_what_is_in_another_form_is_no_failure(row: dict[str, Any]) -> None:
    """Else a newer API ends jobs that run."""
    assert resource_state(row).phase is Phase.UNKNOWN
