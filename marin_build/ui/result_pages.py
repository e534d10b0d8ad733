"""The pages of outputs and metrics: what lies under the prefix, as a report shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from marin_build.emit.graph.details import About
from marin_build.emit.report.cleaning import cleaned
from marin_build.emit.report.contents import target_values
from marin_build.emit.report.facts import Report
from marin_build.emit.report.metrics import metric_tables
from marin_build.operations.pages.kept_outputs import (
    MOST_MEASURED,
    kept_metrics,
    kept_outputs,
    read_output,
)
from marin_build.pipeline.names import name_problem
from marin_build.text.moments import moment_text
from marin_build.text.readable import bytes_text, duration_text, printable

if TYPE_CHECKING:
    from marin_build.emit.report.facts import ReportedTarget
    from marin_build.plan.inventory import InventoryTarget
    from marin_build.plan.metrics.metrics_table import MetricsTable
    from marin_build.ui.site import Page, Site


MOST_LISTED = 2_000
"""Outputs of a page: a person reads no more, and finds by name among them."""
_COLOURS = {
    "built": "built",
    "failed": "failed",
    "running": "running",
    "not built": "waiting",
    "tainted": "stale",
}
"""State of an output -> the state of a page that has its colour."""


def outputs_page(site: Site) -> Page:
    """Return the list of the outputs under the prefix.

    Raises:
        StoreError: the store cannot be read.

    """
    inventory = kept_outputs(site.place)
    rows = [_row(site, each) for each in inventory.targets[:MOST_LISTED]]
    return site.page(
        "outputs",
        up="../",
        heading=f"Outputs under {site.name}",
        rows=site.cleaned(rows),
        total=len(inventory.targets),
        foreign=len(inventory.foreign),
    )


def _row(site: Site, target: InventoryTarget) -> dict[str, str]:
    built = target.built if target.is_built else None
    state = target.state.state.value
    inside = target.path.removeprefix(f"{site.place.prefix}/")
    return {
        "target": printable(target.target),
        "path": inside if _is_inside(inside) else "",
        "query": urlencode({"target": target.target, "path": inside}),
        "state": state,
        "colour": _COLOURS.get(state, "blocked"),
        "size": bytes_text(target.size) if target.size is not None else "",
        "built": moment_text(target.end, "minutes").removesuffix(" UTC") if built else "",
        "took": duration_text(built.seconds) if built is not None and built.seconds else "",
        "by": printable(built.worker) if built is not None else "",
    }


def _is_inside(path: str) -> bool:
    """Return whether a relative path leads to a place under the prefix."""
    return name_problem(path.replace("@", "/")) is None


def output_page(site: Site, target: str, path: str) -> Page | None:
    """Return the page of one output; None if no output can lie there.

    Args:
        site: what it is made from.
        target: the target's id.
        path: of the output, relative to the prefix.

    Raises:
        StoreError: the store cannot be read.

    """
    if not _is_inside(path) or not target:
        return None
    name = target.rpartition("@" if "@" in target else "_")[0] or target
    one = read_output(site.place, name, target, f"{site.place.prefix}/{path}")
    report = cleaned(_report(site, targets=(one,)), site.redactor)
    (shown,) = report.targets
    values = target_values(shown, report, {shown.node.id: 0})
    run = shown.build.run if shown.build is not None else ""
    return site.page(
        "output",
        up="../../",
        has_pictures=True,
        heading=values["name"],
        target=values,
        run=run,
        needs=shown.needs,
    )


def metrics_page(site: Site) -> Page:
    """Return the numbers that outputs hold.

    Raises:
        StoreError: the store cannot be read.

    """
    tables, left_out = kept_metrics(site.place)
    report = cleaned(_report(site, metrics=tables), site.redactor)
    return site.page(
        "metrics",
        up="../",
        heading=f"Metrics under {site.name}",
        metrics=metric_tables(report, {}),
        linked=frozenset[int](),
        most=MOST_MEASURED,
        left_out=left_out,
    )


def _report(
    site: Site,
    targets: tuple[ReportedTarget, ...] = (),
    metrics: tuple[MetricsTable, ...] = (),
) -> Report:
    """Return the facts as those of a report, whose parts show them."""
    about = About(title="", prefix=site.place.prefix)
    requested = tuple(each.node.id for each in targets)
    return Report(about=about, targets=targets, edges=(), requested=requested, metrics=metrics)
