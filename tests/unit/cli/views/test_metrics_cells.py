"""Values in cells: readable for people, exact and harmless for programs."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from marin_build.cli.views.metrics_cells import change_text, csv_cell, json_value
from marin_build.text.values import attribute_text


def test_changes_have_a_sign() -> None:
    shown = [change_text(change) for change in (0.5, -0.5, 0, None, math.inf)]
    assert shown == ["+0.5", "-0.5", "0", "", "+inf"]


def test_a_digest_is_shortened_for_people() -> None:
    assert attribute_text("ab" * 32) == "abababababab"
    assert csv_cell("ab" * 32) == "ab" * 32


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(VALUES)
def test_no_value_writes_on_a_terminal_or_is_a_formula(value: Any) -> None:
    for text in (csv_cell(value), attribute_text(value)):
        assert text.isprintable() or not text
    if isinstance(value, str | list | dict):
        assert csv_cell(value)[:1] not in {
            "=",
            "+",
            "-",
            "@",
            "\uff1d",
            "\uff0b",
            "\uff0d",
            "\uff20",
        }


@given(VALUES)
def test_json_is_strict_and_numbers_are_exact(value: Any) -> None:
    again = json.loads(json.dumps(json_value(value), allow_nan=False))
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        assert again == value
        assert csv_cell(value) in (repr(value), str(value).lower())
