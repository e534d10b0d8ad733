"""Values of metrics and attributes in the cells of tables: for people, for CSV, for JSON."""

from __future__ import annotations

import json
import math
from typing import Any, Literal

from marin_build.cli.views.apply_text import duration
from marin_build.text.moments import moment_text
from marin_build.text.readable import cost_text, printable
from marin_build.text.values import number_text

Form = Literal["text", "json", "csv", "markdown"]

_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""What a cell begins with that spreadsheets take for a formula, and run; also in full width."""


def change_text(change: float | None) -> str:
    """Return by how much a number grew, with its sign; empty where that has no meaning."""
    if change is None:
        return ""
    text = number_text(change)
    return text if text.startswith("-") or change == 0 else f"+{text}"


def fact_text(name: str, value: Any) -> str:
    """Return a fact of a build for people."""
    match name:
        case "seconds":
            return duration(value)
        case "cost":
            return cost_text(value)
        case "built":
            return moment_text(value, "minutes")
    return printable(str(value))


def json_value(value: Any) -> Any:
    """Return a value as JSON has it: what is no number there as a text, as artifacts write it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list):
        return [json_value(item) for item in value]
    if isinstance(value, dict):
        return {key: json_value(item) for key, item in value.items()}
    return value


def csv_cell(value: Any) -> str:
    """Return a value in full, on one line; a text that a spreadsheet would run has a `'` before."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float():
            return repr(value)
        case str():
            text = printable(value)
        case _:
            text = json.dumps(json_value(value))
    return f"'{text}" if text.startswith(_FORMULA) else text
