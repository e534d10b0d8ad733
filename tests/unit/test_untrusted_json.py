"""JSON that another program may have written: a value that is fit to be walked, or a ValueError."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build import untrusted_json
from marin_build.untrusted_json import DEEPEST, is_deep, parse_json

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")]
)
@pytest.mark.parametrize("levels", [DEEPEST // 2, DEEPEST + 1, 5_000, 100_000])
def test_nesting_is_bounded(opening: bytes, closing: bytes, levels: int) -> None:
    """Else one document that is nested deeply ends every command with a traceback."""
    data = opening * levels + b"1" + closing * levels
    if levels > DEEPEST:
        with pytest.raises(ValueError, match="nested more than 300 levels"):
            parse_json(data)
    else:
        assert not is_deep(parse_json(data))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<a named pipe, not a file>",
        b"\xff\xfe",
        b"\x00",
        b"{",
        b'{"a" 1}',
        b"[" * 100000,
        b"9" * 5000,
    ],
)
def test_what_is_no_json_is_a_value_error(data: bytes) -> None:
    """Else readers must each know all exceptions of the library, and one forgets one."""
    with pytest.raises(ValueError):  # noqa: PT011 - the library's own texts
        parse_json(data)


_VALUES: list[object] = [
    None, True, 0, 1, -1, 10**400, 0.5, float("nan"), float("inf"), "", "x", "a\0b", "\ud800",
    "\udc80", "/etc/passwd", "../x", "a/../../x", [], [1], {}, {"a": 1}, {"a": "b"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "accepted"),
    [
        (untrusted_json.table, [{}, {"a": 1}, {"a": "b"}]),
        (untrusted_json.array, [[], [1]]),
        (untrusted_json.text, [value for value in _VALUES if isinstance(value, str)]),
        (untrusted_json.path, ["", "x", "\udc80", "/etc/passwd", "../x", "a/../../x"]),
        (untrusted_json.path_inside, ["x", "\udc80"]),
        (untrusted_json.texts, [{}, {"a": "b"}]),
        (untrusted_json.texts_or_none, [None, {}, {"a": "b"}]),
        (untrusted_json.number, [None, 0, 1, 0.5]),
        (untrusted_json.whole, [None, 0, 1]),
        (untrusted_json.whole_or_none, [None, 0, 1, -1, 10**400]),
    ],
)
def test_a_value_of_another_type_is_a_value_error(
    check: Callable[[object], object], accepted: list[object]
) -> None:
    """Else a number in the place of a text ends a command where it is put into words."""
    for value in _VALUES:
        if any(value is one or (value == one and type(value) is type(one)) for one in accepted):
            check(value)
        else:
            with pytest.raises(ValueError):  # noqa: PT011 - the words differ
                check(value)
