"""One checker for all tables: what is mistyped is refused with its place, whoever's table it is."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - the checker reads the annotations
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from marin_build.engines.settings import NOT_A_SETTING, Table, read_table, setting_names
from marin_build.errors import UsageError


@dataclass(frozen=True, slots=True)
class Toy:
    """Every type that a setting can have."""

    name: str | None = None
    count: int = 1
    share: float = 0.5
    quick: bool = False
    mode: Literal["a", "b"] | None = None
    words: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    hidden: int = field(default=0, metadata=NOT_A_SETTING)

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UsageError("the count is too small", facts=[("count", str(self.count))])


def _read(base: Toy | None = None, **values: Any) -> Toy:
    return read_table(Toy, Table("toy", values, "c.toml, profile big"), base)


def test_what_the_dataclass_allows_is_read() -> None:
    found = _read(
        name="x", count=2, share=1, quick=True, mode="b", words=["x", "y"], sizes={"a": 1}
    )
    assert found == Toy("x", 2, 1, True, "b", ("x", "y"), {"a": 1})
    assert _read() == Toy()


def test_a_table_lies_on_top_of_another() -> None:
    """Else a profile forgets what the common settings say."""
    assert _read(Toy(count=3, mode="a"), mode="b") == Toy(count=3, mode="b")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"nmae": "x"}, "unknown setting `toy.nmae`"),
        ({"hidden": 1}, "unknown setting `toy.hidden`"),
        ({"name": 1}, "the setting `toy.name` is not a string"),
        ({"count": "1"}, "the setting `toy.count` is not an integer"),
        ({"count": 1.5}, "the setting `toy.count` is not an integer"),
        ({"count": True}, "the setting `toy.count` is not an integer"),
        ({"share": "x"}, "the setting `toy.share` is not a number"),
        ({"share": False}, "the setting `toy.share` is not a number"),
        ({"quick": 1}, "the setting `toy.quick` is not `true` or `false`"),
        ({"mode": "c"}, "the setting `toy.mode` is one of a, b"),
        ({"mode": ["a"]}, "the setting `toy.mode` is one of a, b"),
        ({"words": "x"}, "the setting `toy.words` is not a list of names"),
        ({"words": [1]}, "the setting `toy.words` is not a list of names"),
        ({"sizes": [1]}, "the setting `toy.sizes` is not a table"),
        ({"count": 0}, "the count is too small"),
    ],
)
def test_what_it_does_not_allow_is_refused_with_its_place(
    values: dict[str, Any], says: str
) -> None:
    """Else a misspelt setting is as good as none, and nobody finds the line."""
    with pytest.raises(UsageError) as caught:
        read_table(Toy, Table("toy", values, "c.toml, profile big"))
    assert caught.value.what == says
    assert caught.value.facts[0] == ("configuration", "c.toml, profile big")


def test_a_misspelt_key_gets_the_nearest_ones_also_those_beside_the_table() -> None:
    with pytest.raises(UsageError) as caught:
        read_table(Toy, Table("", {"cuont": 1}, "c.toml"))
    assert caught.value.what == "unknown setting `cuont`"
    assert caught.value.hint == "did you mean `count`?"
    with pytest.raises(UsageError) as caught:
        read_table(Toy, Table("", {"kubernets": {}}, "c.toml"), others=["kubernetes"])
    assert caught.value.hint == "did you mean `kubernetes`?"


def test_a_type_that_no_table_can_have_is_a_mistake_of_the_engine() -> None:
    @dataclass(frozen=True)
    class Odd:
        pairs: set[int] = field(default_factory=set)

    with pytest.raises(TypeError, match="no setting can have the type"):
        read_table(Odd, Table("odd", {"pairs": [1]}, "c.toml"))


def test_names_of_settings_are_the_keys() -> None:
    assert setting_names(Toy) == ["name", "count", "share", "quick", "mode", "words", "sizes"]
