"""Events of OpenLineage are made of what a store holds: any program may have written that."""

from __future__ import annotations

import pytest

from marin_build.apply.journal import Entry, Header, Journal
from marin_build.apply.open_lineage import lineage_events
from marin_build.plan.document import DecisionDocument, PlanDocument

STARTED = Entry("step_started", 1.0, {"target": "a_1", "time": "2026-11-30T10:00:01+00:00"})
JOURNAL = Journal(Header("r-1", "ada@lab", 1, "0"), "2026-11-30T10:00:00+00:00", (STARTED,))


@pytest.mark.parametrize(
    ("payload", "sources"),
    [
        ('{"inputs": {"corpus": "12"}}', ["corpus"]),
        ('{"inputs": {"corpus": 12}}', []),
        ('{"inputs": [1]}', []),
        ("[]", []),
        ("no json", []),
    ],
)
def test_a_damaged_plan_still_has_its_events(payload: str, sources: list[str]) -> None:
    """Else one target that another program wrote hides a whole run from a catalogue."""
    target = DecisionDocument(
        name="a",
        target="a_1",
        output_path="a_1",
        fingerprint="1",
        decision="run",
        reasons=(),
        deps=(),
        resources=None,
        declared="p.py:1",
        payload=payload,
    )
    plan = PlanDocument(
        plan_id="p-1",
        pipeline="p.py",
        parameters={},
        prefix="out",
        engine="local",
        requested=("a_1",),
        summary={},
        decisions=(target,),
    )
    _, begun = lineage_events(JOURNAL, plan, lambda path: f"/{path}")
    assert [each["name"] for each in begun["inputs"]] == sources
