"""A module and a name of its package that are called the same: read as Python reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.identity.code.conftest import NewProject

TOK = (
    "def tok(): return 1\ndef other(): return 1\nLIMIT = 1\n"
    "class Base:\n    def go(self): return 1\n    @property\n    def size(self): return 1\n"
    "def twice(f):\n    def wrapper(*a): return f(*a) * 1\n    return wrapper\n"
    "alias = other\n"
)
IMPORTS = {
    "a function": "from pkg.tok import other\ndef run(o): return other()\n",
    "inside": "def run(o):\n    from pkg.tok import other\n    return other()\n",
    "an alias": "from pkg.tok import alias\ndef run(o): return alias()\n",
    "another name": "from pkg.tok import other as o2\ndef run(o): return o2()\n",
    "all names": "from pkg.tok import *\ndef run(o): return other()\n",
    "through a sibling": "from pkg.side import f\ndef run(o): return f()\n",
    "a constant": "from pkg.tok import LIMIT\ndef run(o): return LIMIT\n",
    "a class": "from pkg.tok import Base\ndef run(o): return Base().go()\n",
    "a property": "from pkg.tok import Base\ndef run(o): return Base().size\n",
    "a base class":
        "from pkg.tok import Base\nclass T(Base): pass\ndef run(o): return T().go()\n",
    "a decorator": "from pkg.tok import twice\n@twice\ndef help(): return 1\n"
        "def run(o): return help()\n",
}  # fmt: skip
EDITS = {
    "a constant": ("LIMIT = 1", "LIMIT = 2"),
    "a class": ("go(self): return 1", "go(self): return 2"),
    "a property": ("size(self): return 1", "size(self): return 2"),
    "a base class": ("go(self): return 1", "go(self): return 2"),
    "a decorator": ("* 1", "* 2"),
}
OTHER = ("def other(): return 1", "def other(): return 2")
TOK_ITSELF = ("def tok(): return 1", "def tok(): return 2")


@pytest.mark.parametrize("init", ["from .tok import tok\n", "from pkg.tok import tok as tok\n"])
@pytest.mark.parametrize("what", IMPORTS)
def test_a_module_is_found_though_its_package_calls_something_else_so(
    project: NewProject, what: str, init: str
) -> None:
    """Else `rebuild` finds what other code has built, and nothing says so."""
    side = "from .tok import other as f\n"
    made = project(flow=IMPORTS[what], pkg__init=init, pkg__tok=TOK, pkg__side=side)
    assert made.document().unseen == ()
    assert not made.drift(pkg__tok=TOK.replace(*TOK_ITSELF)), "tok is never called"
    made.write(pkg__tok=TOK)
    drift = made.drift(pkg__tok=TOK.replace(*EDITS.get(what, OTHER)))
    assert [part.name.partition(".tok.")[0] for part in drift.parts] == ["pkg"]


@pytest.mark.parametrize(
    "flow",
    [
        "import pkg\ndef run(o): return pkg.tok()\n",
        "import pkg.tok\ndef run(o): return pkg.tok()\n",
        "import pkg.tok as t\ndef run(o): return t()\n",
        "from pkg import tok\ndef run(o): return tok()\n",
        "from pkg import *\ndef run(o): return tok()\n",
    ],
)
def test_attributes_of_a_package_are_what_it_says(project: NewProject, flow: str) -> None:
    """Else a change is reported of what the step never calls, and that of what it calls is not."""
    made = project(flow=flow, pkg__init="from .tok import tok\n", pkg__tok=TOK)
    assert made.load().run("o") == 1
    assert set(made.document().parts) == {"flow.run", "pkg.tok.tok"}
    assert not made.drift(pkg__tok=TOK.replace(*OTHER))
    made.write(pkg__tok=TOK)
    assert made.drift(pkg__tok=TOK.replace(*TOK_ITSELF)).parts


def test_a_module_takes_the_place_of_what_its_package_called_so_before(project: NewProject) -> None:
    """Else the module that a step imports is mistaken for a function it hides."""
    flow = "import pkg.tok\ndef run(o): return pkg.tok.other()\n"
    init = "def tok(): return 3\n"
    made = project(flow=flow, pkg__init=init, pkg__tok=TOK)
    assert made.load().run("o") == 1
    assert set(made.document().parts) == {"flow.run", "pkg.tok.other"}
    made.write(flow="import pkg\ndef run(o): return pkg.tok()\n")
    assert set(made.document().parts) == {"flow.run", "pkg.tok"}
