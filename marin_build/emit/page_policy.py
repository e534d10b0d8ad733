"""The Content-Security-Policy of a page that is one file: what may run in it. Pure."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def page_policy(
    *, scripts: Iterable[str] = (), styles: Iterable[str] = (), has_pictures: bool = False
) -> str:
    """Return a policy that allows these parts of a page and nothing else: no network, no forms.

    Args:
        scripts, styles: the texts of its blocks.
        has_pictures: whether it holds pictures, as `data:` addresses.

    """
    allowed = {
        "script-src": _digests(scripts),
        "style-src": _digests(styles),
        "img-src": "data:" if has_pictures else "",
    }
    parts = [f"{kind} {sources}" for kind, sources in allowed.items() if sources]
    return "; ".join(["default-src 'none'", *parts, "base-uri 'none'", "form-action 'none'"])


def _digests(texts: Iterable[str]) -> str:
    return " ".join(f"'sha256-{_digest(text)}'" for text in texts)


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
