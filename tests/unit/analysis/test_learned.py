"""What one more load tells: only what two loads agree on is used."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from marin_build.analysis.analysis_files import REFUSED, SEEN, UNSTEADY, USED
from marin_build.analysis.learned import is_hopeless, learned
from marin_build.analysis.observations import (
    WRITTEN_BEFORE,
    NotKept,
    Observations,
)
from marin_build.analysis.step_document import NotKeptError
from marin_build.analysis.use_of_loads import use_in_words, why_loaded

FOUND = Observations("/project", b"k" * 32, {"file": {"/project/a": (1, 2, 3, 4)}}, {}, {})
PROCESS = NotKept("starts a process (git)", "pipeline.py:3")


def _after(*loads: tuple[Observations | NotKept | str, str]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for found, content in loads:
        now = learned(known, found, partial(str, content)) or known
        known = json.loads(json.dumps(now))
    return known


def test_two_loads_must_agree() -> None:
    assert _after((FOUND, "x"))["state"] == SEEN
    assert _after((FOUND, "x"), (FOUND, "x"))["state"] == USED
    assert _after((FOUND, "x"), (FOUND, "y"))["state"] == UNSTEADY
    edited = replace(FOUND, answers={"file": {"/project/a": (1, 2, 3, 9)}})
    assert _after((FOUND, "x"), (FOUND, "x"), (edited, "x"))["state"] == SEEN


def test_after_two_refusals_no_load_is_observed() -> None:
    once = _after((PROCESS, ""))
    assert (once["state"], is_hopeless(once)) == (REFUSED, False)
    assert is_hopeless(_after((PROCESS, ""), (PROCESS, "")))
    assert is_hopeless(_after((FOUND, "x"), (FOUND, "y")))


def test_what_passes_is_no_refusal_that_counts() -> None:
    """Else two commands right after an edit have the pipeline loaded each time."""
    just_written = NotKept(WRITTEN_BEFORE, "helper.py")
    known = _after(*[(just_written, "")] * 5)
    assert not is_hopeless(known)
    assert use_in_words(known) == "is loaded: helper.py was written just before it was read"
    assert use_in_words(_after((PROCESS, ""))).startswith("is loaded each time: pipeline.py:3 ")


def test_what_has_no_form_as_json_is_refused() -> None:
    def keep() -> str:
        raise NotKeptError("`a` has an enum")

    before = _after((FOUND, "x"))
    known = learned(before, FOUND, keep)
    assert known is not None
    assert (known["state"], known["why"]) == (REFUSED, "`a` has an enum")


@pytest.mark.parametrize("index", [{"state": USED}, {"state": USED, "observed": []}])
def test_what_is_damaged_is_told_as_such(index: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="where an object is expected"):
        why_loaded(index, {})


def test_nothing_kept() -> None:
    assert why_loaded({}, {}) == "is loaded: no earlier load of it is kept"
