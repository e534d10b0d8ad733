"""Write the tables in docs/reference/marin-names.md from the table of Marin's names.

python docs/generate_marin_names.py
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from marin_build.compat.marin_names import ERAS, marin_modules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.compat.marin_names import MarinModule

PAGE = Path(__file__).parent / "reference" / "marin-names.md"
BEGIN = "<!-- Written by docs/generate_marin_names.py. Do not edit. -->\n"
END = "<!-- Until here. -->\n"
_ERA_NAMES = {"executor": "ExecutorStep", "artifact": "ArtifactStep"}


def tables() -> str:
    """Return the part of the page between the marks."""
    lines: list[str] = []
    both = [marin_modules(era) for era in ERAS]
    for name in both[0]:
        of_eras = [modules[name] for modules in both]
        own = [_own(row, modules) for row, modules in zip(of_eras, both, strict=True)]
        repeated = {other for row in of_eras for other in row.repeats}
        if not any(own) and not repeated:
            continue
        lines += [f"### {name}", ""]
        if repeated:
            eras = [_ERA_NAMES[era] for era, row in zip(ERAS, of_eras, strict=True) if row.repeats]
            when = f" ({eras[0]} era)" if len(eras) == 1 else ""
            lines += [
                f"The names of {_listed(sorted(repeated))}{when}{', and:' if any(own) else '.'}",
                "",
            ]
        same = _same(own, of_eras)
        for home, names in same.items():
            lines += [f"In `{home}`, without differences: {_listed(names)}.", ""]
        told = {name for names in same.values() for name in names}
        rows = _rows([{n: home for n, home in o.items() if n not in told} for o in own], of_eras)
        if rows:
            lines += ["| name | ours | differences |", "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _own(row: MarinModule, modules: Mapping[str, MarinModule]) -> Mapping[str, str]:
    """Return the names of a module that it does not only repeat."""
    repeated = {one for other in row.repeats for one in modules[other].ours.items()}
    return {name: home for name, home in row.ours.items() if (name, home) not in repeated}


def _same(own: Sequence[Mapping[str, str]], of_eras: Sequence[MarinModule]) -> dict[str, list[str]]:
    """Return, by module of ours, names that are called the same there and do the same."""
    found: dict[str, list[str]] = {}
    for name, home in sorted(own[0].items()):
        module, _, called = home.removeprefix("marin_build.").rpartition(".")
        differs = any(row.differences.get(name) for row in of_eras)
        if called == name and module and own[1].get(name) == home and not differs:
            found.setdefault(module, []).append(name)
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _rows(own: Sequence[Mapping[str, str]], of_eras: Sequence[MarinModule]) -> list[str]:
    rows = []
    for name in sorted({name for names in own for name in names}):
        homes = [names.get(name) for names in own]
        shown = [
            f"{_short(home)} ({_ERA_NAMES[era]} era)"
            for home, era in zip(homes, ERAS, strict=True)
            if home is not None
        ]
        if homes[0] is not None and homes[0] == homes[1]:
            shown = [_short(homes[0])]
        differences = next((d for row in of_eras if (d := row.differences.get(name))), "")
        rows.append(f"| `{name}` | {', '.join(shown)} | {differences} |")
    return rows


def _short(home: str) -> str:
    return f"`{home.removeprefix('marin_build.')}`"


def with_tables(page: str) -> str:
    """Return the page with the tables of today."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{tables()}\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
