"""What comes of a claim on a target that gave no attempt: why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marin_build.protocol.foreign_data import ForeignData
    from marin_build.protocol.lease import Lease


@dataclass(frozen=True, slots=True)
class Held:
    """Another holder has the target; no version: it holds the kernel's lock, and no lease yet."""

    lease: Lease
    version: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The target is built; `published` if it was sealed and this call finished the publishing."""

    published: bool


@dataclass(frozen=True, slots=True)
class Foreign:
    """Data lies there that is not ours, and must not be cleared; nothing of ours is left there."""

    data: ForeignData
