"""What a page says of a plan: of a saved one without places of this machine, of a live one with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.emit.graph.details import about_plan, details_of
from marin_build.emit.graph.live import Live, LiveTarget
from marin_build.emit.graph.picture import picture_of
from marin_build.plan.decide import make_plan
from marin_build.plan.document_of_plan import plan_document
from marin_build.plan.snapshot import Observed, Snapshot

if TYPE_CHECKING:
    from marin_build.plan.document import PlanDocument
    from tests.unit.conftest import TargetsOf


def _document(targets_of: TargetsOf, *, show_pruned: bool = False) -> PlanDocument:
    targets = targets_of(((), (0,), (1,), (1, 2)))
    seen = {1: Observed("SUCCESS"), 2: Observed(), 3: Observed()}
    return plan_document(
        make_plan(targets, Snapshot(seen), [3]), pipeline="p.py", parameters={}, engine="local",
        pin_code=False, show_pruned=show_pruned,
    )  # fmt: skip


def test_a_saved_plan_names_no_place_of_this_machine(targets_of: TargetsOf) -> None:
    """Else the page of a plan differs from machine to machine, and its links lead nowhere."""
    document = _document(targets_of)
    about = about_plan(document, None, ())
    assert (about.prefix, about.prefix_link) == ("outputs", "")
    assert about.summary == f"plan {document.plan_id}: 2 to build, 2 reused"
    assert about.path_text == "2 steps; a plan does not say how long they take"
    details = details_of(document, picture_of(document), None, {})
    assert [one.link for one in details] == [""] * 4
    assert [len(one.fingerprint) for one in details] == [0, 64, 64, 64]


def test_a_look_at_the_store_adds_places_and_what_is_known_now(targets_of: TargetsOf) -> None:
    """Else the page cannot lead to an output, or say how long something takes."""
    document = _document(targets_of, show_pruned=True)
    ids = [decision.target for decision in document.decisions]
    known = {target: LiveTarget(seconds=float(place)) for place, target in enumerate(sorted(ids))}
    live = Live(
        project="/project", targets=known, summary="plan: about 2 h", path=(ids[0],),
        path_text="about 2 h",
    )  # fmt: skip
    about = about_plan(document, live, (("build it", ("apply ", "")),))
    assert (about.prefix, about.prefix_link) == ("/project/outputs", "file:///project/outputs")
    assert (about.summary, about.path, about.path_text) == (
        "plan: about 2 h", (ids[0],), "about 2 h",
    )  # fmt: skip
    picture = picture_of(document, live)
    details = details_of(document, picture, live, {ids[0]: "run.sh"})
    assert [one.now for one in details] == [known[node.id] for node in picture.nodes]
    assert [one.output for one in details] == [""] * 4, "they lie where their ids say"
    assert {one.script for one in details} == {"", "run.sh"}
    assert [len(one.fingerprint) for one in details] == [64] * 4


def test_without_durations_the_longest_chain_is_that_of_most_steps(targets_of: TargetsOf) -> None:
    """Else nobody sees which steps must wait for each other before anything was built."""
    document = _document(targets_of)
    about = about_plan(document, Live(project="/project", targets={}), ())
    names = {decision.target: decision.name for decision in document.decisions}
    assert [names[target] for target in about.path] == ["s2", "s3"]
    assert about.path_text == "2 steps; how long they take is not known"
