"""Reads the data of a page as its scripts do, in plain loops."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def data_in(page: str | None) -> dict[str, Any]:
    """Return the data of a page; `nodes` has a value for each target."""
    assert page is not None
    (text,) = re.findall('<script id="data" type="application/json">(.*?)</script>', page)
    data: dict[str, Any] = json.loads(text)
    return {**data, "nodes": nodes_in(data)}


def nodes_in(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the targets, with what follows from other values; `deps` are their places."""
    nodes = rows_in(data["nodes"])
    for index, node in enumerate(nodes):
        node["name"] = node.pop("folder", "") + node["name"]
        hash_id = node.pop("hash", "")
        node.setdefault("id", f"{node['name']}_{hash_id}")
        if "rest" in node:
            node["fingerprint"] = hash_id + node.pop("rest")
        if "since_hash" in node:
            node["since"] = f"{node['name']}_{node.pop('since_hash')}"
        for key, part in {"output": "name", "link": "name", "script": "id"}.items():
            if key in node:
                node[key] = node[part].join(node[key])
        at = index
        node["deps"] = [at := at - back for back in node.get("deps", [])]
    for node in nodes:
        node["changes"] = [_change(nodes, node, change) for change in node.get("changes", [])]
    return nodes


def _change(nodes: list[dict[str, Any]], node: Any, change: dict[str, Any]) -> dict[str, Any]:
    if "dep" not in change:
        return change
    dep = nodes[node["deps"][change["dep"]]]
    because = {key: change[key] for key in change if key == "because"}
    return {"path": f"deps.{dep['name']}", "old": dep["since"], "new": dep["id"], **because}


def rows_in(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a table."""
    keys = _values(table["keys"], table["count"])
    used = [0] * len(table["names"])
    for numbers in keys:
        for number in numbers:
            used[number] += 1
    columns = [
        iter(_values(column, count)) for column, count in zip(table["columns"], used, strict=True)
    ]
    return [{table["names"][number]: next(columns[number]) for number in each} for each in keys]


def _values(column: Mapping[str, Any], count: int) -> list[Any]:
    different = _different(column)
    if "which" not in column:
        assert len(different) == count
        return different
    numbers: list[int] = []
    for number in column["which"]:
        numbers += [number] if number >= 0 else [numbers[-1]] * -number
    assert len(numbers) == count
    found, known = [], 0
    for number in numbers:
        known += number == 0
        found.append(different[known - max(1, number)])
    assert known == len(different)
    return found


def _different(column: Mapping[str, Any]) -> list[Any]:
    match column:
        case {"rows": table}:
            return rows_in(table)
        case {"hex": data, "digits": digits}:
            text = base64.b64decode(data).hex()
            return [text[at : at + digits] for at in range(0, len(text), digits)]
        case {"texts": parts}:
            texts: list[str] = []
            shared = 0
            for part in parts:
                if isinstance(part, int):
                    shared = part
                else:
                    texts.append((texts[-1][:shared] if shared else "") + part)
                    shared = 0
            return texts
    values: list[Any] = column["values"]
    return values
