"""Write the facts of reasons in docs/reference/plan-directory.md from the reasons themselves.

python docs/generate_reason_facts.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from marin_build.emit.plan_json import reason_json
from marin_build.plan.reason_facts import stable_facts
from marin_build.plan.reason_text import reason_kind
from marin_build.plan.reasons import Change, Reason

PAGE = Path(__file__).parent / "reference" / "plan-directory.md"
BEGIN = "<!-- Written by docs/generate_reason_facts.py. Do not edit. -->\n"
END = "<!-- Until here. -->\n"
SAMPLES: dict[type, Any] = {
    int: 1, float: 1.0, str: "gpu", bool: True, Change: Change("attrs.x", 1, 2, "1 -> 2", "x")
}  # fmt: skip


def table() -> str:
    """Return the part of the page between the marks: kinds with equal facts share a row."""
    rows: dict[tuple[str, str], list[str]] = {}
    for kind in get_args(Reason):
        reason = kind(**{name: _sample(hint) for name, hint in get_type_hints(kind).items()})
        saved = stable_facts(reason)
        more = [key for key in reason_json(reason) if key not in {"kind", "text", *saved}]
        rows.setdefault((_names(saved), _names(more)), []).append(reason_kind(reason))
    lines = ["| kind | facts | also with `--json` |", "|---|---|---|"]
    lines += [f"| {_names(kinds)} | {saved} | {more} |" for (saved, more), kinds in rows.items()]
    return "\n".join(lines) + "\n"


def _sample(hint: Any) -> Any:
    """Return a value of a field's type, so that no fact is left out for want of one."""
    if get_origin(hint) is tuple:
        return (_sample(get_args(hint)[0]),)
    if get_origin(hint) is Literal:
        return get_args(hint)[0]
    return SAMPLES[next(kind for kind in (*get_args(hint), hint) if kind in SAMPLES)]


def _names(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def with_table(page: str) -> str:
    """Return the page with the table of today."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return head + BEGIN + "\n" + table() + "\n" + END + tail


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
