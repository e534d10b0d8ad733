"""A job's name must be legal and one target's own: else a cluster refuses it, or runs another."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from marin_build.engines.kubernetes.names import LONGEST, job_name

_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SEGMENT = st.text("aB0._-", min_size=1, max_size=30).filter(lambda text: set(text) != {"."})
_NAME = st.lists(_SEGMENT, min_size=1, max_size=4).map("/".join)
_HASHED = st.tuples(_NAME, st.text("0123456789abcdef", min_size=8, max_size=8)).map("_".join)
_VERSIONED = st.tuples(_NAME, _SEGMENT).map("@".join)


@given(_HASHED | _VERSIONED)
@example("a_12345678")
@example("x" * 200 + "_12345678")
@example("___/..._12345678")
@example("a@" + "v" * 80)
@example("a@___")
def test_a_job_name_is_a_label(target: str) -> None:
    name = job_name("/out", target)
    assert _LABEL.fullmatch(name)
    assert len(f"{name}-w-9999-99999-abcde") <= 63, "JobSet makes host names so"
    assert len(name) <= LONGEST
    assert "--" not in name


@given(_HASHED, _HASHED)
def test_two_hashed_targets_have_two_names(one: str, other: str) -> None:
    assume(one[-8:] != other[-8:])
    assert job_name("/out", one) != job_name("/out", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a@v1.0", "a@v1-0"),
        ("a@v1", "A@v1"),
        ("a/b@v1", "a-b@v1"),
        ("a" * 80 + "x@v1", "a" * 80 + "y@v1"),
        ("a@" + "v" * 80 + "1", "a@" + "v" * 80 + "2"),
    ],
    ids=["dot", "case", "slash", "long name", "long version"],
)
def test_two_versioned_targets_have_two_names(one: str, other: str) -> None:
    """The second Job of one name would be refused, or worse, taken for the first."""
    assert job_name("/out", one) != job_name("/out", other)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("tokenize_1a2b3c4d", "mb-tokenize-1a2b3c4d-"),
        ("Data/Clean_Up.v2_1a2b3c4d", "mb-data-clean-up-v2-1a2b3c4d-"),
        ("train-1a9fea", "mb-train-1a9fea-"),
    ],
)
def test_a_person_recognises_the_step(target: str, name: str) -> None:
    assert job_name("/out", target).startswith(name)


@given(_HASHED | _VERSIONED)
def test_one_target_has_another_name_under_another_prefix(target: str) -> None:
    """Else kubectl tells the second user of a namespace that the first one's job is unchanged."""
    assert job_name("gs://ours", target) != job_name("gs://theirs", target)
