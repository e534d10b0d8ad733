"""The name of a target's Job or JobSet. Pure."""

from __future__ import annotations

import re

from marin_build.identity.payload import HASH_ID_LENGTH, HASHED_NAME
from marin_build.plan.plan_id import text_digest

WORKER = "w"
"""The name of the only replicated job of a JobSet."""
LARGEST_GANG, MOST_SLICES = 100_000, 10_000
"""Pods of an Indexed Job (the limit of its `parallelism`), and slices of a JobSet."""
LONGEST = 63 - len(f"-{WORKER}-9999-99999-abcde")
"""What JobSet leaves of a host name: `<jobset>-<job>-<slice>-<pod>-<five letters>`."""
_PLACE_LENGTH = 6


def job_name(prefix: str, target: str) -> str:
    """Return the name of a target's job: `mb-<slug>-<hash>-<place>`, a DNS-1035 label.

    The hash is the target's own, or, where its id has none of 8 digits, that of its whole id. The
    place stands for the prefix: under another one it is another job. All attempts have the same
    name: a saved plan does not know how many there will be, and the name is what keeps two runs
    from starting the same one. A Job could have a longer name than a JobSet; but who only knows a
    target must find its job.
    """
    hashed = HASHED_NAME.fullmatch(target)
    if hashed is not None and len(hashed["hash_id"]) == HASH_ID_LENGTH:
        slug, tail = hashed["name"], hashed["hash_id"]
    else:
        slug, tail = target, text_digest(target)[:HASH_ID_LENGTH]
    tail = f"{tail}-{text_digest(prefix)[:_PLACE_LENGTH]}"
    clean = re.sub(r"[^a-z0-9]+", "-", slug.lower()).strip("-") or "step"
    return f"mb-{clean[: LONGEST - len(tail) - 4].strip('-')}-{tail}"
