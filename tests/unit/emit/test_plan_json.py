"""A plan for programs holds no secret, and stays a document that they can read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec
from marin_build.emit.plan_json import plan_json
from marin_build.plan.decisions import Decision, Kind, Plan
from marin_build.plan.document_of_plan import plan_document
from marin_build.plan.estimate import estimate_plan
from marin_build.plan.reasons import NeverBuilt
from marin_build.plan.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.pipeline.targets import Targets

KEY = "-----BEGIN PRIVATE KEY-----\n" + 40 * "A" + '" and more'


def _printed(make: Callable[..., Targets], parameters: dict[str, str], attribute: object) -> Any:
    targets = make(StepSpec(name="a", fn=print, hash_attrs={"x": attribute}))
    decisions = (Decision(0, Kind.RUN, NeverBuilt()),)
    plan = Plan(targets, targets.requested, decisions, frozenset(), Snapshot())
    document = plan_document(
        plan, pipeline="pipeline.py", parameters=parameters, engine="local", pin_code=False
    )
    return json.loads(plan_json(document, plan, estimate_plan({}, targets.deps, 1), None, []))


SECRETS = [
    "e",
    ":",
    ",",
    '"',
    "\\",
    "run",
    "decisions",
    "fingerprint",
    "s3cr3tpw",
    "\xe9t\xe9s",
    8 * "\udcff",
]


@pytest.mark.parametrize("secret", SECRETS, ids=ascii)
def test_a_secret_parameter_is_left_out_and_nothing_else_changes(
    make: Callable[..., Targets], secret: str
) -> None:
    """Else `--set password=run` prints what no program can read, or knows the keys of."""
    found = _printed(make, {"password": secret, "n": "3"}, "plain")
    usual = _printed(make, {"n": "3"}, "plain")
    assert found.keys() == usual.keys()
    assert found["decisions"][0].keys() == usual["decisions"][0].keys()
    assert found["parameters"]["n"] == "3"
    if len(secret) > 2:
        assert found["parameters"]["password"] == "..."


def test_a_private_key_before_a_quote_leaves_json(make: Callable[..., Targets]) -> None:
    """Else the mask takes the backslash of a quote, and the document ends in the middle."""
    found = _printed(make, {}, KEY)
    assert 40 * "A" not in json.dumps(found)


def test_an_attribute_that_is_called_like_a_token_is_masked(make: Callable[..., Targets]) -> None:
    """Else a token that is the key of a mapping is printed."""
    found = _printed(make, {}, {"hf_" + 30 * "a": 1})
    assert "hf_aaa" not in json.dumps(found)


def test_what_an_attribute_calls_a_secret_is_masked(make: Callable[..., Targets]) -> None:
    """Else `plan --json` prints the password of which the plan warns."""
    found = _printed(make, {}, {"api_key": "hunter2", "hosts": [{"passwords": ["hunter2"]}]})
    assert "hunter2" not in json.dumps(found)
    assert found["decisions"][0]["payload"]["attrs"]["x"]["api_key"] == "[secret]"
