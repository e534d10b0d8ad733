"""A class defined quickly is the dataclass that the standard library would have made."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import threading
from dataclasses import FrozenInstanceError, field
from typing import Any, ClassVar

import pytest

from marin_build.quick_dataclass import dataclass as quick
from marin_build.quick_dataclass import open_while_made


class _Nothing:
    """No fields."""


class _One:
    """One field, whose value may not be hashable."""

    only: object


class _Several:
    """A default, and one that is made for each value."""

    a: int
    b: str = "b"
    c: list[int] = field(default_factory=list)


class _Checked:
    """Looks at its fields when it is made, and has methods of its own."""

    size: int

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("negative")

    def __repr__(self) -> str:
        return f"<{self.size}>"

    @property
    def double(self) -> int:
        return 2 * self.size


@dataclasses.dataclass(frozen=True, slots=True)
class Standard:
    """What the standard library makes."""

    a: int
    b: str = "b"
    c: tuple[int, ...] = ()


@quick(frozen=True, slots=True)
class Quick:
    """What is made quickly, in the place of a module where pickles find it."""

    a: int
    b: str = "b"
    c: tuple[int, ...] = ()


def both(pattern: type, **options: bool) -> tuple[Any, Any]:
    """Return the class as the standard library makes it, and as it is made quickly."""
    makers: list[Any] = [dataclasses.dataclass, quick]
    body = {k: v for k, v in vars(pattern).items() if k not in {"__dict__", "__weakref__"}}
    standard, made = (make(**options)(type(pattern.__name__, (), dict(body))) for make in makers)
    return standard, made


@pytest.mark.parametrize("options", [{"slots": True}, {"slots": True, "frozen": True}])
@pytest.mark.parametrize(
    ("pattern", "values", "others"),
    [
        (_Nothing, [()], []),
        (_One, [(1,), ("x",)], [(2,)]),
        (_Several, [(1,), (1, "c"), (1, "b", [2])], [(3, "b", [2])]),
        (_Checked, [(4,)], [(5,)]),
    ],
)
def test_values_compare_hash_and_print_as_the_standard_ones_do(
    options: dict[str, bool],
    pattern: type,
    values: list[tuple[Any, ...]],
    others: list[tuple[Any, ...]],
) -> None:
    standard, made = both(pattern, **options)
    for given in values:
        expected, value = standard(*given), made(*given)
        assert repr(value) == repr(expected)
        assert value == made(*given)
        assert all(value != made(*other) for other in others)
        assert value not in (expected, given)
        assert _hash(value) == _hash(made(*given))
        assert (_hash(value) is None) == (_hash(expected) is None)
        assert dataclasses.asdict(value) == dataclasses.asdict(expected)
        assert copy.deepcopy(value) == value
    assert (
        inspect.signature(made).parameters.keys() == inspect.signature(standard).parameters.keys()
    )
    assert [_told(f) for f in dataclasses.fields(made)] == [
        _told(f) for f in dataclasses.fields(standard)
    ]
    assert made.__match_args__ == standard.__match_args__
    assert made.__slots__ == standard.__slots__
    assert made.__doc__ == standard.__doc__


def _hash(value: object) -> int | None:
    try:
        return hash(value)
    except TypeError:
        return None


def _told(found: dataclasses.Field[Any]) -> tuple[object, ...]:
    return found.name, found.type, found.default, found.init, found.repr, found.compare


@pytest.mark.parametrize("cls", [Standard, Quick])
def test_a_frozen_value_cannot_be_changed(cls: Any) -> None:
    value = cls(1)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'a'"):
        value.a = 2
    with pytest.raises((FrozenInstanceError, TypeError)):  # Python 3.11 gives a TypeError
        value.new = 2
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'a'"):
        del value.a
    assert value == cls(1)


def test_a_value_that_is_not_frozen_can_be_changed() -> None:
    _, made = both(_Several, slots=True)
    value, other = made(1), made(1)
    value.a = 2
    value.c.append(3)
    assert (value.a, value.c, other.c) == (2, [3], [])
    with pytest.raises(AttributeError):
        value.new = 1


@pytest.mark.parametrize("cls", [Standard, Quick])
def test_the_standard_library_knows_it(cls: Any) -> None:
    assert dataclasses.is_dataclass(Standard)
    assert dataclasses.is_dataclass(Quick)
    assert dataclasses.replace(cls(1), a=2, c=(3,)) == cls(2, "b", (3,))
    assert dataclasses.astuple(cls(1)) == (1, "b", ())
    assert pickle.loads(pickle.dumps(cls(1, "x"))) == cls(1, "x")
    match cls(5):
        case Standard(a, "b") | Quick(a, "b"):
            assert a == 5
        case _:
            pytest.fail("no pattern matches")
    derived = dataclasses.make_dataclass("Derived", [("d", int, 0)], bases=(cls,), frozen=True)
    assert dataclasses.astuple(derived(1)) == (1, "b", (), 0)


@pytest.mark.parametrize("cls", [Standard, Quick])
@pytest.mark.parametrize(
    ("args", "kwargs", "error"),
    [
        ((), {}, "missing 1 required positional argument: 'a'"),
        ((1, 2, 3, 4), {}, "takes from 2 to 4 positional arguments but 5 were given"),
        ((1,), {"a": 1}, "got multiple values for argument 'a'"),
        ((1,), {"z": 1}, "got an unexpected keyword argument 'z'"),
    ],
)
def test_wrong_arguments_are_named(cls: Any, args: Any, kwargs: Any, error: str) -> None:
    with pytest.raises(TypeError, match=rf"{cls.__name__}.__init__\(\) {error}"):
        cls(*args, **kwargs)


def test_a_value_is_checked_when_it_is_made() -> None:
    _, made = both(_Checked, frozen=True, slots=True)
    with pytest.raises(ValueError, match="negative"):
        made(-1)
    assert made(3).double == 6


def test_a_value_that_holds_itself_can_be_printed() -> None:
    _, made = both(_One, slots=True)
    value = made(None)
    value.only = value
    assert repr(value) == "_One(only=...)"


def test_threads_may_make_the_first_values() -> None:
    for _ in range(50):
        _, made = both(_Several, frozen=True, slots=True)
        start = threading.Barrier(4)
        found: list[object] = []

        def make(made: Any = made, start: threading.Barrier = start, found: Any = found) -> None:
            start.wait()
            found.append(made(1, c=[2]))

        threads = [threading.Thread(target=make) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [made(1, "b", [2])] * 4


def test_a_first_value_of_a_derived_class_is_made_as_the_second_is() -> None:
    _, made = both(_Several, frozen=True, slots=True)
    derived = type("Derived", (made,), {"__slots__": ()})
    assert [derived(1).b, derived(1).b, made(1).b] == ["b", "b", "b"]
    assert derived(1) != made(1)


class _Optional:
    """Fields with every option."""

    kind: ClassVar[str] = "kept"
    a: int
    hidden: int = field(default=1, repr=False, compare=False)
    later: tuple[int, ...] = field(default=(), init=False)
    made: list[int] = field(default_factory=list, init=False, hash=False)
    named: int = field(kw_only=True)
    chosen: str = field(default="c", kw_only=True, metadata={"unit": "m"})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"frozen": True},
        {"slots": True, "kw_only": True},
        {"frozen": True, "slots": True},
        {"eq": False, "frozen": True},
    ],
)
def test_every_option_means_what_it_means_to_the_standard_library(options: dict[str, bool]) -> None:
    standard, made = both(_Optional, **options)
    expected, value, other = (
        standard(a=1, named=2),
        made(a=1, named=2),
        made(a=1, named=2, hidden=3),
    )
    assert repr(value) == repr(expected)
    assert (value == other) == (expected == standard(a=1, named=2, hidden=3))
    assert (_hash(value) == _hash(other)) == (options.get("eq", True))
    assert hasattr(value, "__dict__") == hasattr(expected, "__dict__")
    assert made.__match_args__ == standard.__match_args__
    assert made.kind == "kept"
    for wrong in ({"a": 1}, {"a": 1, "named": 2, "later": 3}, {"named": 2}):
        messages = []
        for cls in (standard, made):
            with pytest.raises(TypeError) as caught:
                cls(**wrong)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]
    copied = copy.deepcopy(value)
    assert (copied.a, copied.hidden, copied.later, copied.made, copied.named) == (1, 1, (), [], 2)
    assert copied.made is not value.made


def test_a_class_that_derives_from_another_is_left_to_the_standard_library() -> None:
    @quick(frozen=True, slots=True)
    class Derived(Quick):
        d: int = 4

    assert repr(Derived(1)).endswith("Derived(a=1, b='b', c=(), d=4)")
    assert dataclasses.replace(Derived(1), d=5).d == 5


def test_a_comparison_of_its_own_leaves_a_frozen_value_its_hash() -> None:
    class Alike:  # noqa: PLW1641 - the question
        """Equal to all of its kind."""

        a: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, type(self))

    for made in both(Alike, frozen=True, slots=True):
        assert made(1) == made(2)
        assert hash(made(1)) == hash(made(1))


@open_while_made
@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """Is open until its fields are set."""

    a: int
    b: str = dataclasses.field(default="b", kw_only=True)
    c: tuple[int, ...] = ()
    hidden: int = dataclasses.field(default=1, init=False)

    def __post_init__(self) -> None:
        if self.a < 0:
            raise ValueError("negative")
        object.__setattr__(self, "hidden", self.a)


class Plain(Opened):
    """Has no slots of its own, but a dictionary."""


class Slotted(Opened):
    """Has the same slots."""

    __slots__ = ()


@pytest.mark.parametrize("cls", [Opened, Plain, Slotted])
def test_a_value_is_frozen_once_it_is_made_and_keeps_its_class(cls: type[Opened]) -> None:
    """Else an author's own class of steps is lost, or a step may be changed."""
    made = cls(1, (2,), b="x")
    assert type(made) is cls
    assert (made.a, made.b, made.c, made.hidden) == (1, "x", (2,), 1)
    assert dataclasses.replace(made, a=3).hidden == 3
    assert copy.copy(made) == made == pickle.loads(pickle.dumps(made))
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.a = 2  # type: ignore[misc]
    with pytest.raises(ValueError, match="negative"):
        cls(-1)


def test_the_arguments_of_a_class_that_is_open_while_made_are_known() -> None:
    """Authors read them in `help` and in their editor."""
    assert list(inspect.signature(Opened).parameters) == ["a", "c", "b"]
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        Opened()  # type: ignore[call-arg]
