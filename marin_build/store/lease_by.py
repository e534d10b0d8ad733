"""What keeps other runs out on a local disk, in the words of the configuration."""

from __future__ import annotations

from typing import Literal

LeaseBy = Literal["auto", "kernel", "documents"]
