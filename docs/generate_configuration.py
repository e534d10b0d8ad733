"""Write the tables of our engines in docs/reference/configuration.md from their settings.

python docs/generate_configuration.py
"""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from marin_build.engines.registry import OURS, load_engine, registered_engines
from marin_build.engines.settings import setting_names

PAGE = Path(__file__).parent / "reference" / "configuration.md"
BEGIN = "<!-- Written by docs/generate_configuration.py from settings. Do not edit. -->"
END = "<!-- End of what is written by docs/generate_configuration.py. -->"


def configuration_reference(page: str) -> str:
    """Return the text of the page with the tables as they are now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    kinds = [load_engine(one) for one in registered_engines() if one.name in OURS]
    tables = [_table(kind.name, kind.settings_type) for kind in kinds if fields(kind.settings_type)]
    return "\n\n".join([f"{before}{BEGIN}", *tables, f"{END}{after}"])


def _table(name: str, kind: type[Any]) -> str:
    meanings = _meanings(kind)
    defaults = {one.name: _default(one) for one in fields(kind)}
    rows = [f"| `{key}` | {defaults[key]} | {meanings[key]} |" for key in setting_names(kind)]
    return "\n".join([f"## {name}", "", "| key | default | meaning |", "|---|---|---|", *rows])


def _default(one: Any) -> str:
    value = one.default_factory() if one.default is MISSING else one.default
    if value is None:
        return "none"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"  # as TOML has it


def _meanings(kind: type[Any]) -> dict[str, str]:
    """Return what the docstring says of each field, in one line."""
    _, _, text = inspect.cleandoc(kind.__doc__ or "").partition("Args:\n")
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", text, re.MULTILINE)
    found = {key: re.sub(r"\s+", " ", words).rstrip(".") for key, words in entries}
    return {key: re.sub(r"\bNone: ", "none: ", words) for key, words in found.items()}


if __name__ == "__main__":
    PAGE.write_text(configuration_reference(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"written: {PAGE}")
