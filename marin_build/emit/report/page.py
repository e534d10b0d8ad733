"""From the facts of a report to its page: one file without external parts, and without scripts.

The only scripts are those of the page of the graph, in a frame of its own that may do nothing
else; the picture above it shows the graph without them. Files of outputs enter the page as text, or
as the source of an image, in which a browser runs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.emit.graph.page import as_html, page_script, page_style
from marin_build.emit.graph.picture import Picture
from marin_build.emit.graph.simplify import collapsed
from marin_build.emit.graph.svg import as_svg
from marin_build.emit.page_policy import page_policy
from marin_build.emit.quoting import data_address
from marin_build.emit.report import rows, summary
from marin_build.emit.report.cleaning import cleaned
from marin_build.emit.report.contents import target_values
from marin_build.emit.report.metrics import metric_tables

if TYPE_CHECKING:
    from marin_build.emit.report.facts import Report
    from marin_build.emit.templates import Templates
    from marin_build.redaction import Redactor


GENERATOR = "marin-build report"
"""What the page says of itself in its first lines."""
_MOST_RESULTS = 40
"""A person does not look at more; all are among the targets."""
_MOST_BOXES = 40
"""A picture of more cannot be read on a page."""
_DEEPEST = 5


def as_report(report: Report, templates: Templates, redactor: Redactor) -> str:
    """Return the page of a report; equal arguments give equal bytes.

    Args:
        report: what it says.
        templates: the templates of its parts.
        redactor: removes secrets from all texts of the page.

    Raises:
        SpecificationError: a template is missing or malformed.

    """
    report = cleaned(report, redactor)
    place = {target.node.id: number for number, target in enumerate(report.targets)}
    nodes = [*(t.node for t in report.targets), *(each.node for each in report.waiting)]
    details = [*(t.details for t in report.targets), *(each.details for each in report.waiting)]
    picture = Picture(tuple(nodes), report.edges)
    graph = as_html(picture, report.about, details, templates)
    drawn, groups = _drawn(picture)
    style = templates.text("colours.css") + templates.text("report/page.css")
    requested = set(report.requested)
    listed = [t for t in report.targets if t.node.id in requested][: rows.MOST_ROWS]
    listed += [t for t in report.targets if t.node.id not in requested][
        : rows.MOST_ROWS - len(listed)
    ]
    values = [target_values(target, report, place) for target in listed]
    results = [value for value in values if value["id"] in requested]
    return templates.render(
        "report/page.html.j2",
        generator=GENERATOR,
        version=report.version,
        policy=page_policy(
            scripts=[page_script(templates)],
            styles=[style, page_style(templates)],
            has_pictures=True,
        ),
        style=style,
        title=report.about.title,
        sentence=summary.sentence(report),
        states=summary.state_counts(report.targets),
        facts=list(summary.facts(report)),
        results=results[:_MOST_RESULTS],
        more_results=len(results[_MOST_RESULTS:]),
        metrics=metric_tables(report, place),
        plan=rows.plan_rows(report, place),
        total=len(report.targets),
        linked=frozenset(value["place"] for value in values),
        picture=_source(as_svg(drawn, templates)) if drawn is not None else "",
        groups=groups,
        graph=graph,
        durations=rows.duration_rows(report, place),
        any_took=any(target.build is not None for target in report.targets),
        any_expected=any(target.expected is not None for target in report.targets),
        runs=rows.run_rows(report),
        code=rows.code_rows(report),
        environment=rows.environment_rows(report),
        commands=report.commands,
        parameters=sorted(report.parameters.items()),
        code_text=summary.code_text(summary.builds_of(report)),
        commit=report.commit[: summary.DIGITS],
        is_dirty=bool(report.is_dirty),
        targets=sorted(values, key=lambda value: value["place"]),
    )


def _drawn(picture: Picture) -> tuple[Picture | None, bool]:
    """Return what a picture of the graph can show, and whether it shows groups of targets.

    None if there are too many groups, too.
    """
    if len(picture.nodes) <= _MOST_BOXES:
        return picture, False
    for depth in range(_DEEPEST, 0, -1):
        found = collapsed(picture, depth)
        if len(found.nodes) <= _MOST_BOXES:
            return found, True
    return None, True


def _source(svg: str) -> str:
    return data_address("image/svg+xml", svg.encode("utf-8", "backslashreplace"))
