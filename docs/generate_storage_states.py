"""Write the states in docs/reference/storage.md, and their picture, from the transition table.

python docs/generate_storage_states.py
"""

from __future__ import annotations

from pathlib import Path

from marin_build.protocol.state_machine import TRANSITIONS, Event, State

PAGE = Path(__file__).parent / "reference" / "storage.md"
PICTURE = Path(__file__).parent / "images" / "target-states.svg"
BEGIN = "<!-- Written by docs/generate_storage_states.py. Do not edit. -->\n"
END = "<!-- Until here. -->\n"

# Where the picture has each state, as column and row. The first row is the way of most targets.
PLACES = {
    State.UNKNOWN: (0, 0),
    State.FREE: (1, 0),
    State.HELD: (2, 0),
    State.RUNNING: (3, 0),
    State.COMMITTED: (4, 0),
    State.FINISHED: (5, 0),
    State.ABANDONED: (1, 1),
    State.HELD_BY_OTHER: (1, 2),
    State.TOMBSTONED: (0, 1),
    State.REFUSED: (2, 1),
    State.ENDED: (3, 1),
    State.LOST: (4, 1),
    State.QUICK: (2, 2),
}
WIDTH, HEIGHT = 124, 36  # of a box, in pixels
LEFT, TOP, ACROSS, DOWN = 16, 92, 152, 78
AGAIN = "&#8634;"
FINALS = set(TRANSITIONS.values()) - {before for before, _ in TRANSITIONS}

SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" \
height="{height}" font-family="system-ui, Helvetica, Arial, sans-serif" role="img" \
aria-labelledby="title">
<title id="title">The states of a target, and the moves between them</title>
<style>
  .page {{ fill: #ffffff }} .box {{ fill: #eef4fc; stroke: #0a5fc4 }}
  .last {{ fill: #f2f3f5; stroke: #57606a }} .name {{ font-size: 12px; font-weight: 600 }}
  rect {{ rx: 6px }} text {{ fill: #1b1f24; text-anchor: middle }}
  .key {{ font-size: 12px; text-anchor: start }}
  .move {{ fill: none; stroke: #57606a; stroke-width: 1.4 }} .head {{ fill: #57606a }}
  .again {{ font-size: 15px; fill: #0a5fc4 }}
  @media (prefers-color-scheme: dark) {{
    .page {{ fill: #0d1117 }} .box {{ fill: #10233d; stroke: #7ea6f0 }}
    .last {{ fill: #21262d; stroke: #9aa4b0 }} text {{ fill: #e6edf3 }}
    .move {{ stroke: #9aa4b0 }} .head {{ fill: #9aa4b0 }} .again {{ fill: #7ea6f0 }}
  }}
</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" \
orient="auto"><path class="head" d="M0 0.8L7.5 4L0 7.2z"/></marker></defs>
<rect class="page" width="100%" height="100%"/>
{drawn}
</svg>
"""


def picture() -> str:
    """Return the picture, as SVG. What may lead back to UNKNOWN has a sign instead of an edge."""
    moves = dict.fromkeys(
        (before, after)
        for (before, _), after in TRANSITIONS.items()
        if after not in (State.UNKNOWN, before)
    )
    again = {before for (before, _), after in TRANSITIONS.items() if after is State.UNKNOWN}
    drawn = [f'<path class="move" d="{_path(*move)}" marker-end="url(#head)"/>' for move in moves]
    for state, place in PLACES.items():
        x, y = _corner(place)
        kind = "last" if state in FINALS else "box"
        drawn.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}"/>')
        drawn.append(_text("name", x + WIDTH // 2, y + 22, state.name))
        if state in again:  # where no move begins or ends
            drawn.append(_text("again", x + (WIDTH - 9 if place[0] else 10), y - 4, AGAIN))
    width, height = LEFT + 5 * ACROSS + WIDTH + LEFT, TOP + 2 * DOWN + 2 * HEIGHT + LEFT
    x, y = LEFT + 2 * ACROSS, height - 28
    drawn += [
        _text("again", x + 8, y, AGAIN),
        _text("key", x + 22, y, "may lead back to UNKNOWN: look again"),
        f'<rect class="last" x="{x + 290}" y="{y - 12}" width="24" height="15"/>',
        _text("key", x + 322, y, "an end"),
    ]
    return SVG.format(width=width, height=height, drawn="\n".join(drawn))


def _text(kind: str, x: int, y: int, words: str) -> str:
    """Return a text; a key begins at x, and all others have their middle there."""
    return f'<text class="{kind}" x="{x}" y="{y}">{words}</text>'


def _corner(place: tuple[int, int]) -> tuple[int, int]:
    """Return the upper left corner of a box."""
    return LEFT + place[0] * ACROSS, TOP + place[1] * DOWN


def _path(before: State, after: State) -> str:
    """Return the line between two boxes: along a row, over it, or down to another one."""
    (column, row), (to_column, to_row) = PLACES[before], PLACES[after]
    (x, y), (to_x, to_y) = _corner(PLACES[before]), _corner(PLACES[after])
    middle = HEIGHT / 2
    if row == to_row and to_column - column == 1:
        return f"M{x + WIDTH} {y + middle:g}L{to_x - 1} {to_y + middle:g}"
    if row == to_row:  # over the boxes between, the higher the further
        above = y - 22 * (to_column - column)
        start, end = x + WIDTH / 2, to_x + WIDTH / 2 - 10 * (5 - column)
        return f"M{start:g} {y}C{start:g} {above} {end:g} {above} {end:g} {to_y - 1}"
    if column == to_column:
        return f"M{x + WIDTH / 2:g} {y + HEIGHT}L{x + WIDTH / 2:g} {to_y - 1}"
    start = x + WIDTH - 12
    if to_row > row:
        return f"M{start} {y + HEIGHT}L{to_x - 1} {to_y + middle:g}"
    return f"M{x + WIDTH} {y + middle:g}L{to_x + 12} {to_y + HEIGHT + 1}"


def drawing() -> str:
    """Return the part of the page between the marks."""
    assert {event for _, event in TRANSITIONS} == set(Event)
    lines = [
        "![From UNKNOWN to FREE, HELD, RUNNING, COMMITTED, FINISHED](../images/target-states.svg)",
        "",
        "| state | what is done there |",
        "|---|---|",
        *(f"| {state.name} | {state.value} |" for state in State),
        "",
        "| from | when | to |",
        "|---|---|---|",
        *(
            f"| {before.name} | {event.value} | {after.name} |"
            for (before, event), after in TRANSITIONS.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def with_drawing(page: str) -> str:
    """Return the page with the tables of today."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return head + BEGIN + "\n" + drawing() + "\n" + END + tail


if __name__ == "__main__":
    PAGE.write_text(with_drawing(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    PICTURE.write_text(picture(), encoding="utf-8")
