"""The names of steps that have outputs under a prefix, found by their folders alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from marin_build.identity.payload import HASHED_NAME
from marin_build.pipeline.glob_patterns import compile_patterns, may_match_below
from marin_build.pipeline.names import name_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.store.base import Store


_DEEPEST = 6
"""Folders in a name, at most: below them lie the data of outputs."""
_AT_ONCE = 32


def list_names(store: Store, prefix: str, pattern: str) -> list[str]:
    """Return the names that match a glob, sorted; some may be those of folders without an output.

    The folders of one level are listed side by side, and only those in which a match may lie.

    Args:
        store: where the outputs live.
        prefix: where outputs live.
        pattern: a glob over names.

    Raises:
        StoreError: the store cannot be listed.

    """
    matches = compile_patterns([pattern])
    found: set[str] = set()
    level = [f"{prefix}/"]
    for _ in range(_DEEPEST):
        deeper: list[str] = []
        for folder in _folders(store, level):
            inside = folder.removeprefix(f"{prefix}/")
            if inside.startswith("."):
                continue
            hashed = HASHED_NAME.fullmatch(inside)
            name = hashed["name"] if hashed is not None else inside
            if matches(name) and name_problem(name) is None:
                found.add(name)
            if hashed is None and may_match_below([pattern], inside):
                deeper.append(f"{folder}/")
        level = deeper
        if not level:
            break
    return sorted(found)


def _folders(store: Store, starts: Sequence[str]) -> list[str]:
    if store.is_local or len(starts) == 1:
        listings = [store.folders(start) for start in starts]
    else:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            listings = list(pool.map(store.folders, starts))
    return [folder for listing in listings for folder in listing]
