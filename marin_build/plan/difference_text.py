"""The differences of payloads in words: each on one line, and what repeats is said once. Pure.

Of long values the part that differs is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.identity.canonical import canonical_text
from marin_build.plan.payload_diff import ABSENT, older_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marin_build.plan.payload_diff import Difference


_WIDTH = 48
"""Characters of a value that one line of a plan shows."""
WIDE = 240
"""Characters of a value where there is room: about one paragraph."""
_FILE = "file:"
_LONGEST_PATH = 120
_PLAIN_TEXTS = ("name", "version")
_MOST_NAMES = 3
_NEEDS = "needs "


def describe_difference(difference: Difference, width: int = _WIDTH) -> str:
    """Return a difference for people: `attrs.seq_len 4096 -> 8192`, `inputs.corpus changed`.

    Args:
        difference: the difference.
        width: how many characters of each value are shown; of longer values the part that differs.

    """
    path, old, new = difference.path, difference.old, difference.new
    kind, _, rest = path.partition(".")
    if kind == "deps" and rest:
        if old is ABSENT:
            return f"needs {new}, which it did not"
        if new is ABSENT:
            return f"no longer needs {old}"
        was = older_name(difference)
        return f"needs {rest}, {'which changed' if was is None else f'renamed from {was}'}"
    if path == "name" and ABSENT not in (old, new):
        return f"renamed from {old} to {new}"
    if path == "code" and ABSENT in (old, new):  # the code policy changed, not the code
        return f"code {'joined' if old is ABSENT else 'left'} the identity"
    path = path if len(path) <= _LONGEST_PATH else f"{path[:80]}...{path[-37:]}"
    if path.startswith(("inputs", "code")):  # digests say nothing to a reader
        return path + (" added" if old is ABSENT else " removed" if new is ABSENT else " changed")
    plain = path in _PLAIN_TEXTS
    if ABSENT in (old, new):
        value, how = (new, "added") if old is ABSENT else (old, "removed")
        return f"{path} {how}: {value if plain else _cut(canonical_text(value), width)}"
    if plain:
        return f"{path} {old} -> {new}"
    if kind == "bind" and path.endswith(".path") and _are_files(old, new):
        path, old, new = path.removesuffix(".path"), old[len(_FILE) :], new[len(_FILE) :]
    return f"{path} {' -> '.join(_shown_apart(old, new, width))}{_place(old, new, width)}"


def _are_files(*values: object) -> bool:
    """Return whether values are paths in outputs, as `bind` names them."""
    return all(isinstance(value, str) and value.startswith(_FILE) for value in values)


def _place(old: Any, new: Any, width: int) -> str:
    """Return where two long texts begin to differ: ` (line 12 of 300)`; empty for short ones."""
    if not isinstance(old, str) or not isinstance(new, str) or max(len(old), len(new)) <= width:
        return ""
    at = _alike(old, new)
    if "\n" in new:
        line = new.count("\n", 0, at) + 1
        return f" (line {line:,} of {max(line, new.rstrip(chr(10)).count(chr(10)) + 1):,})"
    return f" (character {at + 1:,} of {len(new):,})"


def cut_apart(old: Any, new: Any, width: int = WIDE) -> tuple[Any, Any]:
    """Return two values; long ones as texts of the part that differs. None stays None."""
    if max(len(canonical_text(value)) for value in (old, new)) <= width:
        return old, new
    if old is None or new is None:
        sides = [
            None if value is None else _cut(canonical_text(value), width) for value in (old, new)
        ]
        return sides[0], sides[1]
    return _shown_apart(old, new, width)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _shown_apart(old: Any, new: Any, width: int) -> tuple[str, str]:
    """Return two values, each on one line; of long values only the part that differs."""
    one, other = canonical_text(old), canonical_text(new)
    if len(one) <= width and len(other) <= width:
        return one, other
    start = _alike(one, other)
    most = min(len(one), len(other)) - start
    end = min(most, _alike(one[::-1], other[::-1]))
    around = width // 4
    first = max(0, start - around)

    def window(text: str) -> str:
        return _window(text, first, min(first + width, len(text) - end + around))

    return window(one), window(other)


def _alike(one: str, other: str) -> int:
    """Return how many characters two texts have in common at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _window(text: str, start: int, end: int) -> str:
    """Return a part of a text, with dots for the parts left out."""
    return ("..." if start else "") + text[start:end] + ("..." if end < len(text) else "")


def difference_texts(
    leaves: Iterable[Difference], causes: Mapping[str, str] | None = None
) -> list[str]:
    """Return differences for people, a text each; dependencies with one cause are one text.

    `needs a, b, c and 42 more, which changed: attrs.lr 0.1 -> 0.2`

    Args:
        leaves: what differs.
        causes: id of a dependency -> what changed there, in words.

    """
    texts: list[str] = []
    groups: dict[tuple[str, str], list[str]] = {}
    for leaf in leaves:
        if not leaf.path.startswith("deps."):
            texts.append(describe_difference(leaf))
            continue
        name = leaf.path.removeprefix("deps.")
        cause = (causes or {}).get(leaf.new, "") if isinstance(leaf.new, str) else ""
        tail = f": {cause}" if cause else ""
        if leaf.old is ABSENT:
            key, shown = (_NEEDS, f", which it did not{tail}"), str(leaf.new)
        elif leaf.new is ABSENT:
            key, shown = ("no longer needs ", ""), str(leaf.old)
        elif (was := older_name(leaf)) is not None:
            key, shown = (_NEEDS, f", renamed from {was}"), name
        else:
            key, shown = (_NEEDS, f", which changed{tail}"), name
        groups.setdefault(key, []).append(shown)
    return texts + [f"{head}{_listed(names)}{tail}" for (head, tail), names in groups.items()]


def _listed(names: Sequence[str]) -> str:
    """Return `a`, `a (3 targets)` or `a, b, c and 42 more`."""
    distinct = list(dict.fromkeys(names))
    if len(distinct) == 1:
        return names[0] + (f" ({len(names)} targets)" if len(names) > 1 else "")
    more = len(distinct) - _MOST_NAMES
    if more <= 0:
        return f"{', '.join(distinct[:-1])} and {distinct[-1]}"
    return f"{', '.join(distinct[:_MOST_NAMES])} and {more} more"
