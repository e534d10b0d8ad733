"""The setting `bundle_limit` of engines whose jobs can load the project's code from a bundle."""

from __future__ import annotations

from marin_build.errors import UsageError
from marin_build.plan.capacity import RAM, parse_amount

BUNDLE_LIMIT = "50Mi"


def check_bundle_limit(engine: str, text: str) -> int:
    """Return the bytes of an engine's setting `bundle_limit`.

    Raises:
        UsageError: it is no amount of bytes above 0.

    """
    try:
        return parse_amount(RAM, text)
    except UsageError as error:
        raise UsageError(
            f"the setting `{engine}.bundle_limit` is no size above 0, such as `{BUNDLE_LIMIT}`"
        ) from error
