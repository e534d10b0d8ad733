"""What keeping bytes in a bucket costs, by the month. Pure.

Prices come from the file of prices (plan/prices.py), by the beginning of a URL: `gs` is for every
bucket of Cloud Storage, `gs://lab` for one bucket, `gs://lab/out` for a folder of it. The longest
beginning wins. A URL tells neither the region of a bucket nor its storage class, so a list price
is an estimate; a disk has no price.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


_GIB = 1 << 30


def per_gib_month(storage: Mapping[str, float | None], place: str) -> float | None:
    """Return the US dollars that a GiB (2**30 bytes) costs by the month; None if that is not known.

    Args:
        storage: beginning of a URL -> its price; None: unknown, whatever a shorter beginning says.
        place: a URL or a local path.

    """
    scheme, is_url, _ = place.partition("://")
    if not is_url:
        return None
    whole = f"{place.rstrip('/')}/"
    starts = [start for start in storage if whole.startswith(f"{start.rstrip('/')}/")]
    return storage.get(max(starts, key=len, default=scheme))


def cost_per_month(storage: Mapping[str, float | None], place: str, size: int) -> float | None:
    """Return the US dollars that so many bytes at a place cost by the month; None: not known."""
    price = per_gib_month(storage, place)
    return None if price is None else cost_of_bytes(size, price)


def cost_of_bytes(size: int, price: float) -> float:
    """Return the US dollars that so many bytes cost by the month, at a price for a GiB."""
    return price * size / _GIB
