"""Columns hold the rows that they were made of, in less room, and the same bytes each time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.emit.graph.columns import as_columns
from marin_build.redaction import Redactor
from tests.page_reader import rows_in

if TYPE_CHECKING:
    from collections.abc import Sequence

_TEXTS = st.one_of(
    st.sampled_from(["", "deadbeef", "0123456789abcdef", "shard-0001", "shard-0002", "__proto__"]),
    st.text("ab/0é\U0001f9ea\ud800", max_size=12),
)
_SCALARS = st.one_of(
    _TEXTS, st.none(), st.booleans(), st.integers(-3, 3),
    st.sampled_from([0.0, 1.0, 0.1, 1e300, 2**70]),
)  # fmt: skip
_KEYS = st.sampled_from(["a", "b", "c", "attrs", "__proto__", "constructor", "é"])
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=8,
)
ROWS = st.lists(st.dictionaries(_KEYS, _VALUES, max_size=4), max_size=12)


def _unchanged(value: Any, _key: str) -> Any:
    return value


def text_of(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table of some rows as JSON."""
    return json.dumps(as_columns(rows, _unchanged), separators=(",", ":"))


@given(ROWS)
def test_columns_hold_their_rows(rows: list[dict[str, Any]]) -> None:
    """Else a page shows the facts of another target; 1, 1.0, true and "1" are four values."""
    table = json.loads(text_of(rows))
    assert json.dumps(rows_in(table)) == json.dumps(rows), "order of keys included"


@pytest.mark.parametrize("values", [
    ["x"] * 9, ["x", "y"] * 5, [str(i) for i in range(9)], ["a", "a", "b", "a", "c", "c"],
    ["00112233"] * 2 + ["44556677"], ["0011223"], ["a" * 9, "a" * 9 + "é", "a" * 9 + "b"],
])  # fmt: skip
def test_every_form_of_a_column_is_read_back(values: list[str]) -> None:
    rows = [{"k": value} for value in values]
    assert rows_in(json.loads(text_of(rows))) == rows


def test_what_repeats_takes_no_room() -> None:
    """Else a page of 100,000 steps is larger than a browser or a mail takes."""
    rows = [
        {
            "folder": f"tokenize/source-{i % 8}/", "name": f"shard-{i // 8:05}", "state": 1,
            "why": "never built", "digest": f"{i * 0x9E3779B97F4A7C15 % 2**256:064x}",
            "attrs": {"seed": i, "seq_len": 4096},
        }
        for i in range(1000)
    ]  # fmt: skip
    assert len(text_of(rows)) < 65 * len(rows), "43 of them for the digest"


def test_attributes_that_no_two_steps_share_stay_objects() -> None:
    """Else a column each for the key of one step takes more room than the step."""
    rows = [{"inputs": {f"data/file-{i}": "x"}} for i in range(20)]
    assert len(text_of(rows)) < len(json.dumps(rows)) + 120


def test_secrets_are_cleaned_before_texts_are_cut() -> None:
    """Else a secret whose beginning is left out is not found in what remains."""
    redactor = Redactor.for_values({b"hunter2-hunter2": b"[TOKEN]"})
    rows = [
        {"text": "use hunter2-hunter0", "attrs": {"api_key": "k1"}},
        {"text": "use hunter2-hunter2", "attrs": {"api_key": "k2"}},
    ]
    table = as_columns(rows, redactor.clean_values)
    assert "k1" not in json.dumps(table)
    assert "hunter2-hunter2" not in json.dumps(table)
    assert [row["text"] for row in rows_in(table)] == ["use hunter2-hunter0", "use [TOKEN]"]
    assert rows_in(table)[1]["attrs"] == {"api_key": "[secret]"}


def test_deep_values_are_held() -> None:
    """Else an attribute that is nested deeply ends the command."""
    deep: dict[str, Any] = {"a": 1}
    for _ in range(200):
        deep = {"a": deep}
    rows = [{"attrs": deep}] * 5
    assert rows_in(json.loads(text_of(rows))) == rows
