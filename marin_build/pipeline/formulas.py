"""The formulas of identity so far: what was built under one of them stays built."""

from __future__ import annotations

from typing import Literal

Formula = Literal[1, 2, 3]
"""Which formula says what a step is: how it names sources (docs/adr/0016), writes enums (0027)."""
FIRST: Formula = 1
TAGGED_ENUMS: Formula = 2
NOW: Formula = 3
FORMULAS: tuple[Formula, ...] = (NOW, TAGGED_ENUMS, FIRST)
"""All of them, the newest first."""
