"""Which captured values are compared, and which are listed because they cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.identity.code.conftest import NewProject

HOLDERS = {
    "a closure": "def make(v):\n    def run(o): return v\n    return run\nrun = make({})\n",
    "a default": "def run(o, v={}): return v\n",
    "a partial": "import functools\ndef go(o, v): return v\nrun = functools.partial(go, v={})\n",
    "an attribute": "class H:\n    def __init__(self, v): self.v = v\n"
        "    def go(self, o): return self.v\nrun = H({}).go\n",
}  # fmt: skip
PLAIN = {
    "datetime": ("import datetime as dt", "dt.datetime(2026, 1, {}, tzinfo=dt.timezone.utc)"),
    "zone": ("import datetime as dt", "dt.timezone(dt.timedelta(hours={}))"),
    "date": ("import datetime as dt", "dt.date(2026, 1, {})"),
    "time": ("import datetime as dt", "dt.time({})"),
    "timedelta": ("import datetime as dt", "dt.timedelta({})"),
    "Decimal": ("import decimal", "decimal.Decimal('1.{}')"),
    "Fraction": ("import fractions", "fractions.Fraction(7, 1 + {})"),
    "UUID": ("import uuid", "uuid.UUID(int={})"),
    "range": ("", "range({})"),
    "slice": ("", "slice({})"),
    "deque": ("import collections", "collections.deque([{}], 3)"),
    "bytearray": ("", "bytearray([{}])"),
    "complex": ("", "complex({})"),
    "namespace": ("import types", "types.SimpleNamespace(a=[{}])"),
    "ChainMap": ("import collections", "collections.ChainMap(dict(a={}))"),
    "default": ("import collections", "collections.defaultdict([int, str, list][{}])"),
    "path": ("import pathlib", "pathlib.Path('{}')"),
    "pattern": ("import re", "re.compile('{}')"),
    "frozenset": ("", "frozenset([{}])"),
    "enum": (("import enum, datetime\nE = enum.Enum('E', dict(A=datetime.date(1, 1, 1), "
             "B=datetime.date(1, 1, 2)))"), "list(E)[{} - 1]"),
    "numpy date": ("import numpy", "numpy.datetime64({}, 'D')"),
    "numpy NaN": ("import numpy", "[numpy.float32('nan'), numpy.float64('nan')][{} - 1]"),
    "dtype": ("import numpy", "numpy.dtype(['i4', 'f8'][{} - 1])"),
    "slots": (("class S:\n    __slots__ = ('a', '__b')\n"
              "    def __init__(self, n): self.a = 1; self.__b = n"), "S({})"),
    "inherited slots": (("class S:\n    __slots__ = ('a', 'b')\nclass T(S):\n"
                        "    def __init__(self, n): self.a, self.c = n, 1"), "T({})"),
    "slotted dataclass": (("import dataclasses as d\n@d.dataclass(slots=True)\nclass S:\n"
                          "    n: object\n    f: object = len"), "S({})"),
    "a dataclass's other attributes": (
        ("import dataclasses as d\n@d.dataclass\nclass S:\n    n: int = 1\n"
        "def S2(n):\n    s = S()\n    s.m = n\n    return s"), "[S2({})]"),
    "str's attributes": (("class S(str): pass\ndef S2(n):\n    s = S('a')\n    s.m = n\n"
                         "    return s"), "S2({})"),
    "list's attributes": (("class S(list): pass\ndef S2(n):\n    s = S('a')\n    s.m = n\n"
                          "    return s"), "S2({})"),
    "dict's attributes": (("class S(dict):\n    __slots__ = ('m',)\ndef S2(n):\n    s = S(a=1)\n"
                          "    s.m = n\n    return s"), "S2({})"),
    "bytes's attributes": (("class S(bytes): pass\ndef S2(n):\n    s = S(b'a')\n    s.m = n\n"
                           "    return s"), "S2({})"),
    "private": (("import pydantic\nclass M(pydantic.BaseModel):\n    a: int = 1\n"
                "    _p: int = pydantic.PrivateAttr(0)\ndef M2(n):\n    m = M()\n    m._p = n\n"
                "    return m"), "M2({})"),
    "private beside code": (
        ("import pydantic\nfrom typing import Any\nclass M(pydantic.BaseModel):\n    a: Any = len\n"
        "    _p: int = pydantic.PrivateAttr(0)\ndef M2(n):\n    m = M()\n    m._p = n\n"
        "    return m"), "M2({})"),
    "an error": ("class E(Exception): pass", "E({})"),
    **{
        f"derived {base}": (f"class S({base}): pass", f"S({value})")
        for base, value in {
            "str": "'{}'", "int": "{}", "float": "{}", "bytes": "[{}]", "tuple": "[{}]",
            "list": "[{}]", "dict": "a={}", "complex": "{}",
        }.items()
    },
    "derived date": (("import datetime\nclass D(datetime.datetime):\n"
                     "    def isoformat(self): raise ValueError"), "D(2026, 1, {})"),
    "derived Decimal": ("import decimal\nclass D(decimal.Decimal):\n    x = 1", "D({})"),
}  # fmt: skip


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
@pytest.mark.parametrize(("first", "value"), PLAIN.values(), ids=PLAIN)
def test_plain_values_are_compared(
    project: NewProject, holder: str, first: str, value: str
) -> None:
    """Else another value makes another result, and nothing says that the code has changed."""
    number = "N" if "'{}'" not in value and "1.{}" not in value else None
    one, two = (
        f"{first}\nfrom numbers_ import N\n{holder.format(value.format(number or n))}"
        for n in (1, 2)
    )
    made = project(flow=one, numbers_="N = 1\n")
    assert made.document().unseen == ()
    assert made.code().digest == made.code().digest
    assert not made.drift(flow="# edited\n" + one)
    made.write(flow=one)
    drift = made.drift(flow=two, numbers_="N = 2\n")
    assert drift.captured, drift


def test_types_of_equal_values_are_told_apart(project: NewProject) -> None:
    """Else a string of a class that does something else passes as the same."""
    flow = "class A(str): pass\nclass B(str):\n    x = 1\ndef run(o, v=A('x')): return v\n"
    assert project(flow=flow).drift(flow=flow.replace("v=A", "v=B"))


def test_methods_of_a_captured_list_are_code(project: NewProject) -> None:
    """Else what a captured object does changes, and nothing says so."""
    flow = "class L(list):\n    def go(self): return 1\ndef run(o, v=L('x')): return v.go()\n"
    assert project(flow=flow).drift(flow=flow.replace("return 1", "return 2")).parts


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        ("import numpy\nclass A(numpy.ndarray): pass\ndef run(o, v=A((1,))): return v\n",
         "what a flow.A is as a numpy.ndarray (v)"),
        ("import numpy\ndef run(o, v=numpy.zeros(1)): return v\n",
         "the state of a numpy.ndarray (v)"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_listed(project: NewProject, flow: str, expected: str) -> None:
    """Else a result depends on what nobody compares, and nobody is told."""
    assert expected in project(flow=flow).document().unseen


def test_values_that_contain_themselves_have_a_text(project: NewProject) -> None:
    """Else a plan never ends."""
    flow = (
        "import types, collections\nn = types.SimpleNamespace()\nn.n = n\n"
        "d = collections.deque()\nd.append(d)\nclass L(list): pass\nx = L()\nx.x = x\n"
        "def run(o, a=n, b=d, c=x): return a\n"
    )
    made = project(flow=flow)
    assert made.code().digest == made.code().digest
