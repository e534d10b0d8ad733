"""The scripts of a page read from its data what was written there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings

from marin_build.emit.graph.columns import as_columns
from marin_build.emit.graph.page_data import page_data
from marin_build.emit.graph.picture import Picture
from tests.browser.pictures import about, details_of, pipeline
from tests.e2e.support import CHECKOUT
from tests.page_reader import nodes_in
from tests.unit.emit.graph.test_columns import ROWS

if TYPE_CHECKING:
    from tests.browser.conftest import Window

_SCRIPTS = "".join(
    (CHECKOUT / f"templates/graph/{name}.js").read_text() for name in ("columns", "nodes")
)
_ROWS = f"""(text) => {{
{_SCRIPTS}
  const table = openTable(JSON.parse(text));
  const rows = [];
  for (let i = table.count - 1; i >= 0; i -= 1) rows.unshift(table.row(i));
  return JSON.stringify(rows);
}}"""
_NODES = f"""(text) => {{
{_SCRIPTS}
  const data = JSON.parse(text);
  const nodes = nodesOf(data);
  const model = {{ data, nodes, needs: needsOf(nodes) }};
  return JSON.stringify(nodes.map((node, i) => [
    node.id, node.name, node.state, node.why, node.kind, node.fingerprint, model.needs[i],
    sinceOf(node), outputOf(data, node), linkOf(data, node), scriptOf(node), changesOf(model, i),
    node.attrs, node.tags, node.about, node.seconds, node.took, node.log,
  ]));
}}"""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS)
def test_every_row_is_read_as_it_was(window: Window, rows: list[dict[str, Any]]) -> None:
    """Else a page shows the facts of another target. Rows are read in any order."""
    written = json.dumps(as_columns(rows, lambda value, _: value))
    assert json.loads(window.page.evaluate(_ROWS, written)) == rows


def test_what_was_left_out_is_found_again(window: Window) -> None:
    """Else a panel shows no id, output or script, or that of another target."""
    drawn = pipeline(200)
    picture = Picture(
        (*drawn.nodes[:-1], replace(drawn.nodes[-1], id="report@2026.11.21")), drawn.edges
    )
    details = [
        replace(
            each, output=f"gs://b/{node.name}/v1" if place % 3 else "",
            script=f"steps/{node.id}/step.sh" if place % 2 else "",
        )
        for place, (node, each) in enumerate(zip(picture.nodes, details_of(picture), strict=True))
    ]  # fmt: skip
    data = json.loads(json.dumps(page_data(picture, about(picture), details)))
    found = json.loads(window.page.evaluate(_NODES, json.dumps(data)))
    for said, node in zip(found, nodes_in(data), strict=True):
        assert said[:6] == [
            node[key] for key in ("id", "name", "state", "why", "kind", "fingerprint")
        ]
        usual = f"{data['prefix']}/{node['id']}"
        link = "" if "output" in node else f"{data['link']}/{node['id']}"
        assert said[6:12] == [
            node["deps"], node.get("since", ""), node.get("output", usual), link,
            node.get("script", ""), node["changes"],
        ]  # fmt: skip
        assert said[12:] == [
            node.get(key) for key in ("attrs", "tags", "about", "seconds", "took", "log")
        ]
