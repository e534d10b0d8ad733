"""The prefix in force and the region that it is in."""

from __future__ import annotations

import functools
import logging
import urllib.request

from marin_build.plan.regions import region_of
from marin_build.workspace.places import is_url
from marin_build.workspace.workspace import current_workspace

logger = logging.getLogger(__name__)

_ZONE_OF_THIS_MACHINE = "http://metadata.google.internal/computeMetadata/v1/instance/zone"
_PATIENCE = 2.0
"""Seconds until a machine that does not answer is none of Google's."""
_SCRATCH = "tmp"
_DAYS = (1, 2, 3, 4, 5, 6, 7, 14, 30)
"""How long Marin's buckets keep what lies in `tmp/ttl=Nd`."""


def marin_prefix() -> str:
    """Return where outputs go: the prefix of the command, MARIN_PREFIX, or the configured one."""
    return current_workspace().prefix


def marin_region() -> str | None:
    """Return the region of this machine, else that of the prefix; None if neither is known."""
    return region_from_metadata() or region_from_prefix(marin_prefix())


def region_from_prefix(prefix: str) -> str | None:
    """Return the region that the name of a bucket has in it, `gs://marin-us-central2`."""
    return region_of(prefix, {}) if prefix.startswith("gs://") else None


@functools.cache
def region_from_metadata() -> str | None:
    """Return the region of this machine, if it is one of Google's; asked once."""
    asked = urllib.request.Request(_ZONE_OF_THIS_MACHINE, headers={"Metadata-Flavor": "Google"})
    try:
        with urllib.request.urlopen(asked, timeout=_PATIENCE) as answer:  # noqa: S310 - the same
            zone = answer.read().decode("utf-8", "replace").strip().rpartition("/")[2]
    except (OSError, ValueError):
        return None
    return zone.rpartition("-")[0] or None


def check_path_in_region(key: str, path: str, region: str, local_ok: bool = False) -> None:
    """Refuse a path whose bucket is in another region.

    Args:
        key: what the path is, for the message.
        path: a URL of Google's storage.
        region: where it is read.
        local_ok: a path of this machine is fine, too.

    Raises:
        ValueError: it is in another region, or not in Google's storage.

    """
    if not path.startswith("gs://"):
        if local_ok and not is_url(path):
            logger.warning("%s is on this machine: %s", key, path)
            return
        raise ValueError(f"{key} must be a GCS path, not {path}")
    found = region_from_prefix(path)
    if found is None:
        logger.warning("cannot tell the region of %s: %s", key, path)
    elif found != region.lower():
        raise ValueError(f"{key} is in {found}, and is read in {region}: {path}")


def marin_temp_bucket(ttl_days: int, prefix: str = "", *, source_prefix: str | None = None) -> str:
    """Return a folder for what may go away again.

    In a bucket of Marin that is `tmp/ttl=Nd`, where the bucket itself takes it away; under any
    other prefix `tmp`, where it stays until a person deletes it.

    Args:
        ttl_days: how many days it is kept; more than that where Marin has no such rule.
        prefix: a folder in it.
        source_prefix: the place beside which it lies; default: the prefix in force.

    Raises:
        ValueError: no days at all.

    """
    if ttl_days <= 0:
        raise ValueError(f"ttl_days={ttl_days} must be positive")
    days = next((known for known in _DAYS if known >= ttl_days), _DAYS[-1])
    base = marin_prefix()
    if source_prefix is not None and region_from_prefix(source_prefix):
        base = source_prefix
    bucket = "/".join(base.split("/")[:3])
    keeps = bucket.startswith("gs://marin-") and region_from_prefix(bucket)
    folder = f"{bucket}/{_SCRATCH}/ttl={days}d" if keeps else f"{base}/{_SCRATCH}"
    inside = prefix.strip("/")
    return f"{folder}/{inside}" if inside else folder
