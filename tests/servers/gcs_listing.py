"""One page of a listing: prefixes, delimiters, offsets, globs and page tokens.

Published at https://cloud.google.com/storage/docs/json_api/v1/objects/list.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from .gcs_objects import Refusal, Stored

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = 1000
"""Items and prefixes of a page, at most."""


def list_page(objects: Mapping[str, Stored], query: Mapping[str, str], host: str) -> dict[str, Any]:
    """Return the page a query asks for, in the order of the names' UTF-8 bytes."""
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    limit = min(int(query.get("maxResults") or PAGE), PAGE)
    if limit < 1:
        raise Refusal(400, "Invalid value for maxResults")
    after = base64.urlsafe_b64decode(query.get("pageToken", "")).decode()
    start, end = query.get("startOffset", ""), query.get("endOffset", "")
    glob = _glob(query["matchGlob"]) if query.get("matchGlob") else None
    trailing = query.get("includeTrailingDelimiter") == "true"
    items: list[dict[str, Any]] = []
    prefixes: list[str] = []
    last, more = after, False
    for name in sorted(objects, key=str.encode):
        key = name.encode()
        if not name.startswith(prefix) or key < start.encode() or (end and key >= end.encode()):
            continue
        if glob and not glob.fullmatch(name):
            continue
        head, found, rest = name[len(prefix) :].partition(delimiter) if delimiter else ("",) * 3
        folder = prefix + head + delimiter if found else None
        shown = folder or name
        is_item = folder is None or (trailing and not rest)
        if shown.encode() <= after.encode() or (not is_item and folder in prefixes):
            continue
        if len(items) + len(prefixes) >= limit:
            more = True
            break
        if folder is not None and folder not in prefixes:
            prefixes.append(folder)
        if is_item:
            items.append(objects[name].resource(host))
        last = shown
    page: dict[str, Any] = {"kind": "storage#objects"}
    if more:
        page["nextPageToken"] = base64.urlsafe_b64encode(last.encode()).decode()
    if prefixes:
        page["prefixes"] = prefixes
    if items:
        page["items"] = items
    return page


def _glob(pattern: str) -> re.Pattern[str]:
    """Compile `matchGlob`: `**` crosses folders; `*`, `?`, `[a-z]`, `{a,b}` do not."""
    out, depth, at = "", 0, 0
    while at < len(pattern):
        char, at = pattern[at], at + 1
        if char == "*" and pattern.startswith("*", at):
            at += 1
            if pattern.startswith("/", at):
                out, at = out + "(?:.*/)?", at + 1
            else:
                out += ".*"
        elif char in "*?":
            out += "[^/]*" if char == "*" else "[^/]"
        elif char == "[" and (close := pattern.find("]", at)) > at:
            inside = pattern[at:close].replace("\\", "\\\\")
            out, at = out + "[" + re.sub("^!", "^", inside) + "]", close + 1
        elif char == "{":
            out, depth = out + "(?:", depth + 1
        elif char == "}" and depth:
            out, depth = out + ")", depth - 1
        elif char == "," and depth:
            out += "|"
        else:
            out += re.escape(char)
    return re.compile(out, re.DOTALL)
