"""A step that was written as JSON and read again is the step that was declared."""

from __future__ import annotations

import json
from dataclasses import fields
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build import ResourceConfig, Retries, StepSpec, command, source
from marin_build.analysis.step_document import KEPT, NotKeptError, document_of, fields_of, written
from marin_build.identity.canonical import canonical_text
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

PLACE = Workspace("/project", "/project/outputs")
RAW = StepSpec(name="raw", fn=None)
OTHER = StepSpec(name="other", version="3")
AT = (RAW, OTHER)

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary(max_size=4)
    | st.frozensets(st.integers(), max_size=3)
)
_KEYS = st.text().filter(lambda key: not key.startswith("__"))
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text().filter(lambda key: not key.startswith("__")), inner, max_size=3)
    ),
    max_leaves=12,
)
_TEXT = st.text(st.characters(codec="utf-8"), max_size=9)


def _again(step: StepSpec, deps: tuple[int, ...] = (0, 1)) -> dict[str, Any]:
    document = document_of(step, deps, AT.index, None if step.fn is None else "ab" * 32)
    return fields_of(json.loads(written(document)), step.name, deps, AT.__getitem__)


def _build(output_path: str) -> None: ...


def test_a_new_field_of_a_step_is_kept_or_left_out_on_purpose() -> None:
    """Else a plan from what was kept lacks what an author declares."""
    computed = {"fn", "captured", "attributes_hash", "_fingerprint", "_formula", "_target_id"}
    assert {each.name for each in fields(StepSpec)} == KEPT | computed


@given(
    attrs=st.dictionaries(
        st.text().filter(lambda key: not key.startswith("__")), _VALUES, max_size=4
    ),
    texts=st.tuples(_TEXT, _TEXT),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    count=st.integers(0, 9),
    seconds=st.none() | st.floats(0.5, 1e6),
    names=st.lists(st.from_regex(r"[a-z]{1,5}", fullmatch=True), max_size=3),
)
def test_every_field_comes_back(
    attrs: dict[str, Any],
    texts: tuple[str, str],
    flags: tuple[bool, bool, bool],
    count: int,
    seconds: float | None,
    names: list[str],
) -> None:
    with in_workspace(PLACE):
        step = StepSpec(
            name="train/it",
            fn=_build,
            deps=[OTHER, RAW, RAW] if flags[0] else [RAW, OTHER],
            hash_attrs=attrs,
            version="1.2" if flags[1] else None,
            outputs=names if flags[2] else None,
            resources=ResourceConfig.with_gpu("H100", count + 1) if flags[0] else None,
            env_vars=dict.fromkeys(names, "1"),
            retries=Retries(count, on=["oom"]) if flags[1] else count,
            timeout=seconds,
            budgets=dict.fromkeys(names, count + 1),
            resumable=flags[0],
            keep=flags[2],
            tags=names,
            detached=names,
            secrets=[f"!{name}" for name in names],
            description=texts[0],
            code="ignore" if flags[2] else None,
            inputs={"text": source("/project/a.txt", include=("*",))},
            declared=("/project/pipeline.py", count + 1),
        )
        from marin_build.pipeline.source_digests import remember_digest

        remember_digest(step.inputs["text"], "0" * 64)
        found = _again(step)
        for name in KEPT:
            assert found[name] == getattr(step, name), name
        assert list(found["hash_attrs"]) == list(step.hash_attrs)
        assert canonical_text(found["hash_attrs"]) == canonical_text(step.hash_attrs)
        assert "fn" not in found


def test_a_command_comes_back_whole() -> None:
    """Else commands are shown without their words, or the pipeline is loaded for them."""
    with in_workspace(PLACE):
        step = command(
            ["cat", "{text}", "{all}", "{n}", "{output}/x"],
            name="cat",
            deps={"text": RAW / "a.txt", "all": [RAW, OTHER]},
            params={"n": 3},
        )
        again = _again(step)["fn"]
        assert again == step.fn
        assert again.argv("/out") == step.fn.argv("/out")  # type: ignore[union-attr]


class Size(StrEnum):
    """What a Marin config has."""

    SMALL = "small"


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ({"hash_attrs": {"size": Size.SMALL}}, "former formula"),
        ({"hash_attrs": {"a": {1: 2}}}, "would not give back"),
        ({"hash_attrs": {"a": float("nan")}}, "would not give back"),
        ({"env_vars": {"HF_TOKEN": "hf_abcdefghijklmnopqrstuvwxyz0123456789"}}, "a secret"),
    ],
)
def test_what_cannot_come_back_is_refused(step: dict[str, Any], why: str) -> None:
    """Else a plan shows other values than the author's, or a file holds a secret."""
    with in_workspace(PLACE), pytest.raises(NotKeptError, match=why):
        document_of(StepSpec(name="train", **step), (), AT.index, None)
