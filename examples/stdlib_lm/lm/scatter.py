"""A scatter plot of two comparable numbers as SVG, without a plotting library."""

from html import escape

SIDE = 420  # of the square plot area, in pixels
LEFT, TOP, RIGHT, BOTTOM = 70, 50, 150, 60
WIDTH, HEIGHT = LEFT + SIDE + RIGHT, TOP + SIDE + BOTTOM

STYLE = """\
<style>
  text { font: 13px sans-serif; fill: #222 }
  .frame { fill: #fafafa; stroke: #999 }
  .diagonal { stroke: #999; stroke-dasharray: 5 4 }
  .grid { stroke: #e2e2e2 }
  .point { fill: #2a6fbb; fill-opacity: 0.65 }
</style>"""


def scatter(
    points: list[tuple[float, float, str]], *, title: str, x_label: str, y_label: str
) -> str:
    """Draw the points (x, y, name) on two equal axes that begin at zero."""
    end = 0.5 * (int(2 * max(max(x, y) for x, y, _ in points)) + 1)
    ticks = [0.5 * n for n in range(1, int(2 * end) + 1)]
    middle = LEFT + SIDE / 2
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" role="img">',
        f"<title>{escape(title)}</title>",
        STYLE,
        f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{SIDE}" height="{SIDE}"/>',
        *(tick(value, value / end) for value in ticks),
        f'<line class="diagonal" x1="{LEFT}" y1="{TOP + SIDE}" x2="{LEFT + SIDE}" y2="{TOP}"/>',
        *(point(x / end, y / end, name) for x, y, name in points),
        f'<text x="{LEFT}" y="{TOP - 20}">{escape(title)}</text>',
        f'<text x="{middle}" y="{TOP + SIDE + 45}" text-anchor="middle">{escape(x_label)}</text>',
        f'<g transform="translate(20 {TOP + SIDE / 2}) rotate(-90)">',
        f'<text text-anchor="middle">{escape(y_label)}</text>',
        "</g>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def tick(value: float, share: float) -> str:
    """Draw the grid lines and numbers of one value, on both axes."""
    x, y = place(share, share)
    return (
        f'<path class="grid" d="M{x} {TOP} V{TOP + SIDE} M{LEFT} {y} H{LEFT + SIDE}"/>'
        f'<text x="{x}" y="{TOP + SIDE + 20}" text-anchor="middle">{value:g}</text>'
        f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{value:g}</text>'
    )


def point(x_share: float, y_share: float, name: str) -> str:
    """Draw a dot that shows its name when the mouse is over it."""
    x, y = place(x_share, y_share)
    title = escape(name)
    return f'<circle class="point" cx="{x}" cy="{y}" r="4"><title>{title}</title></circle>'


def place(x_share: float, y_share: float) -> tuple[float, float]:
    """Return the pixels of a place given as shares of the axes; y grows upwards."""
    return round(LEFT + SIDE * x_share, 1), round(TOP + SIDE * (1 - y_share), 1)
