"""Write the drawing of the states in docs/reference/storage.md from the transition table.

python docs/generate_storage_states.py
"""

from __future__ import annotations

from pathlib import Path

from marin_build.protocol.state_machine import TRANSITIONS, Event, State

PAGE = Path(__file__).parent / "reference" / "storage.md"
BEGIN = "<!-- Written by docs/generate_storage_states.py. Do not edit. -->\n"
END = "<!-- Until here. -->\n"


def drawing() -> str:
    """Return the part of the page between the marks."""
    lines = ["```mermaid", "stateDiagram-v2", f"  [*] --> {State.UNKNOWN.name}"]
    lines += [
        f"  {before.name} --> {after.name}: {event.value}"
        for (before, event), after in TRANSITIONS.items()
    ]
    finals = set(TRANSITIONS.values()) - {before for before, _ in TRANSITIONS}
    lines += [f"  {state.name} --> [*]" for state in State if state in finals]
    lines += ["```", "", "| state | what is done there |", "|---|---|"]
    lines += [f"| {state.name} | {state.value} |" for state in State]
    assert {event for _, event in TRANSITIONS} == set(Event)
    return "\n".join(lines) + "\n"


def with_drawing(page: str) -> str:
    """Return the page with the drawing of today."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return head + BEGIN + "\n" + drawing() + "\n" + END + tail


if __name__ == "__main__":
    PAGE.write_text(with_drawing(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
