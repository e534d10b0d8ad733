"""How often is tried again after what: each budget for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build import Retries, StepSpec, step
from marin_build.errors import SpecificationError
from marin_build.pipeline.retries import CAUSES, Tries, back_off, cause_of

if TYPE_CHECKING:
    from marin_build.pipeline.retries import Cause


def _left(retries: int | Retries, *causes: Cause) -> list[int]:
    tries = Tries(retries)
    return [tries.failed(cause).left for cause in causes]


def test_a_number_is_the_limit_of_own_failures() -> None:
    assert _left(2, "app", "oom", "timeout", "app") == [2, 1, 0, 0]
    assert _left(0, "app") == [0]


def test_the_infrastructure_has_a_budget_of_its_own() -> None:
    """Else three preemptions use up the tries of a step that never failed itself."""
    assert _left(1, "infra", "app", "infra", "infra", "infra", "app") == [3, 1, 2, 1, 0, 0]
    assert _left(0, "infra", "infra", "infra", "infra") == [3, 2, 1, 0]
    assert _left(Retries(limit=0, infra=1), "infra", "infra") == [1, 0]


def test_only_the_causes_it_names_are_tried_again() -> None:
    """Else a step that is too slow is too slow four times, at eight GPUs an hour."""
    policy = Retries(limit=2, on=("oom",))
    assert _left(policy, "app") == [0]
    assert _left(policy, "timeout") == [0]
    assert _left(policy, "infra") == [0]
    assert _left(policy, "oom", "oom", "oom") == [2, 1, 0]


@pytest.mark.parametrize(
    ("code", "cause"),
    [(1, "app"), (3, "app"), (75, "infra"), (124, "timeout"), (126, "app"), (127, "app"),
     (137, "app"), (143, "app")],
)  # fmt: skip
def test_exit_codes_have_causes(code: int, cause: Cause) -> None:
    """A command that was not found, or was killed by hand, is no infrastructure."""
    assert cause_of(code) == cause
    assert cause_of(code, "oom") == "oom"


@given(
    wait=st.floats(0, 100), longest=st.floats(0, 1000), number=st.integers(1, 5000)
)  # fmt: skip
def test_waits_double_up_to_the_longest_one_and_differ(
    wait: float, longest: float, number: int
) -> None:
    """Else a thousand steps that one outage failed ask the store again in the same second."""
    whole = min(wait * 2.0 ** min(number - 1, 900), longest)
    waited = back_off(Retries(wait=wait, longest_wait=longest), number)
    assert whole / 2 - 1e-9 <= waited <= whole + 1e-9


def test_waits_of_the_same_try_differ() -> None:
    assert len({back_off(Retries(), 3) for _ in range(20)}) > 1


def test_later_tries_wait_longer_whatever_failed() -> None:
    tries = Tries(Retries(limit=4, infra=4, wait=1.0))
    waits = [tries.failed(cause).wait or 0.0 for cause in ("infra", "app", "infra")]
    assert 0.5 <= waits[0] <= 1 <= waits[1] <= 2 <= waits[2] <= 4


def test_after_the_last_try_nobody_waits() -> None:
    assert Tries(0).failed("app").wait is None
    assert Tries(Retries(limit=1, wait=0)).failed("app").wait == 0.0


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"limit": -1}, "`limit` is a whole number"), ({"limit": 1.5}, "`limit` is a whole number"),
        ({"infra": True}, "`infra` is a whole number"), ({"wait": -1}, "`wait` is a number"),
        ({"longest_wait": float("inf")}, "`longest_wait` is a number"),
        ({"wait": "1"}, "`wait` is a number"), ({"on": "oom"}, "`on` lists some of app, oom"),
        ({"on": ["oom", "disk"]}, "`on` lists some of app, oom, timeout, infra"),
        ({"on": 3}, "`on` lists some of app, oom, timeout, infra"),
    ],
)  # fmt: skip
def test_illegal_values_are_refused(fields: dict[str, Any], part: str) -> None:
    with pytest.raises(SpecificationError) as caught:
        Retries(**fields)
    assert part in caught.value.what


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(SpecificationError, match=r"`limit`.*`infra`"):
        Retries(limit=-1, infra=-1)


def test_a_policy_is_a_value_and_no_part_of_identity() -> None:
    """Else more tries rename every output that follows."""
    policy = Retries(on=["oom"])
    assert policy == Retries(on=("oom",))
    assert hash(policy) == hash(Retries(on=("oom",)))
    assert Retries().on == CAUSES

    @step(retries=policy)
    def one(output: str) -> None:
        """Nothing."""

    declared = one()
    assert declared.retries == policy
    assert declared.fingerprint == one.options(retries=0)().fingerprint
    plain = StepSpec(name="a", fn=print, retries=policy)
    assert plain.fingerprint == StepSpec(name="a", fn=print).fingerprint
