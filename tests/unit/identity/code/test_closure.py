"""Which edits are code, however far from the step they are made."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from marin_build.identity.code.digest import code_digest

if TYPE_CHECKING:
    from tests.unit.identity.code.conftest import NewProject, Project

FLOW = "from tokenizer import batch\n\ndef run(output):\n    return batch(output)\n"
TOKENIZER = (
    "import text.clean as cleaning\n"
    "LIMIT = 10\n"
    "def batch(x):\n"
    '    """Make batches."""\n'
    "    return cleaning.strip(x)[:LIMIT]\n"
    "def unused(x):\n"
    "    return x\n"
)
CLEAN = "def strip(x):\n    # of spaces\n    return x.strip()\n"


@pytest.mark.parametrize(
    "edits",
    [
        {"flow": "# a comment\n\n" + FLOW.replace("    return", "    # now\n    return")},
        {"tokenizer": TOKENIZER.replace("Make batches.", "Other words.")},
        {"tokenizer": TOKENIZER.replace('    """Make batches."""\n', "")},
        {"text__clean": CLEAN.replace("    ", "  ").replace("# of spaces", "# of all")},
        {"tokenizer": TOKENIZER.replace("LIMIT = 10", "LIMIT = (\n    1_0\n)")},
        {"tokenizer": TOKENIZER.replace("    return x\n", "    return x + 1\n")},
        {"tokenizer": "import os\n" + TOKENIZER + "OTHER = 1\n"},
    ],
)
def test_what_is_not_code_of_the_step(project: NewProject, edits: dict[str, str]) -> None:
    made = project(flow=FLOW, tokenizer=TOKENIZER, text__clean=CLEAN)
    assert not made.drift(**edits)


@pytest.mark.parametrize(
    ("edits", "text"),
    [
        ({"flow": FLOW.replace("batch(output)", "batch(output + 'x')")}, "flow.run() +1 -1"),
        ({"tokenizer": TOKENIZER.replace("[:LIMIT]", "[1:LIMIT]")},
         "tokenizer.batch() +1 -1 (via run -> batch)"),
        ({"tokenizer": TOKENIZER.replace("10", "11")},
         "tokenizer.LIMIT +1 -1 (via run -> batch -> LIMIT)"),
        ({"text__clean": CLEAN.replace("x.strip()", "(\n    x.lstrip())")},
         "text.clean.strip() +1 -1 (via run -> batch -> strip)"),
    ],
)  # fmt: skip
def test_a_change_is_found_across_modules(
    project: NewProject, edits: dict[str, str], text: str
) -> None:
    made = project(flow=FLOW, tokenizer=TOKENIZER, text__clean=CLEAN)
    assert made.drift(**edits).text == f"code changed since built: {text}"


DECORATORS = """
import functools
def twice(fn):
    @functools.wraps(fn)
    def wrapper(*args):
        return fn(*args) + EXTRA
    return wrapper
EXTRA = 2
"""
SHAPES = {
    "a decorator": "from other import twice\n@twice\ndef run(o): return 1\n",
    "a decorator of a helper":
        "from other import twice\n@twice\ndef help(o): return 1\ndef run(o): return help(o)\n",
    "a partial":
        "import functools, other\ndef go(o, f): return f\n"
        "run = functools.partial(go, f=other.twice)\n",
    "a partial by name":
        "import functools, other\nmade = functools.partial(other.twice)\n"
        "def run(o): return made(o)\n",
    "a closure":
        "from other import twice\ndef make(f):\n    def run(o): return f(o)\n    return run\n"
        "run = make(twice)\n",
    "an import inside": "def run(o):\n    from other import twice\n    return twice(o)\n",
    "a module imported inside": "def run(o):\n    import other as t\n    return t.twice(o)\n",
    "an import around":
        "def make():\n    import other\n    def run(o): return other.twice(o)\n    return run\n"
        "run = make()\n",
    "all names": "from other import *\ndef run(o): return twice(o)\n",
    "a lambda": "import other\nrun = lambda o: other.twice(o)\n",
    "a method":
        "import other\nclass T:\n    def go(self, o): return self.inner(o)\n"
        "    def inner(self, o): return other.twice(o)\nrun = T().go\n",
    "a static method":
        "import other\nclass T:\n    @staticmethod\n"
        "    def go(o): return other.twice(o)\nrun = T.go\n",
    "a class attribute":
        "import other\nclass T:\n    kind = other.twice\ndef run(o): return T.kind\n",
    "a base class":
        "import other\nclass A:\n    def go(self): return other.twice(1)\nclass T(A): pass\n"
        "def run(o): return T().go()\n",
    "a default": "import other\ndef run(o, f=other.twice): return f(o)\n",
    "a dataclass default":
        "import dataclasses, other\n@dataclasses.dataclass\nclass C:\n"
        "    f: object = dataclasses.field(default=other.twice)\ndef run(o): return C()\n",
    "a table": "import other\nT = {'a': other.twice}\ndef run(o): return T['a'](o)\n",
    "a table that is filled":
        "import other\nT = {}\nT['a'] = other.twice\ndef run(o): return T['a'](o)\n",
    "getattr with a name": "import other\ndef run(o): return getattr(other, 'twice')(o)\n",
    "a comprehension": "import other\ndef run(o): return [other.twice(x) for x in o]\n",
    "cycles":
        "import other\ndef a(o): return run(o) or b(o)\ndef b(o): return a(o), other.twice\n"
        "def run(o): return a(o)\n",
    "a fallback": "try:\n    from missing_xyz import f\nexcept ImportError:\n"
        "    from other import twice as f\ndef run(o): return f(o)\n",
    "a condition": "import sys, other\nif sys.platform == 'x':\n    f = None\nelse:\n"
        "    f = other.twice\ndef run(o): return f(o)\n",
    "a cached function":
        "import functools, other\n@functools.cache\ndef run(o): return other.twice(o)\n",
    "made by exec": "import other\nfrom other import twice\nspace = {'twice': twice}\n"
        "exec('def run(o): return twice(o)', space)\nrun = space['run']\n",
    "a step": "from marin_build import step\nimport other\n"
        "@step\ndef go(output: str): return other.twice(output)\nrun = go().fn\n",
}  # fmt: skip


@pytest.mark.parametrize("flow", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(
    "edit", [("fn(*args)", "fn(*args[:1])"), ("EXTRA = 2", "EXTRA = 3")], ids=["code", "constant"]
)
def test_code_is_reached_through(project: NewProject, flow: str, edit: tuple[str, str]) -> None:
    made = project(flow=flow, other=DECORATORS)
    assert not made.drift(other="# edited\n" + DECORATORS)
    drift = made.drift(other=DECORATORS.replace(*edit))
    changed = {part.name for part in drift.parts}
    assert changed & {"other.twice", "other.EXTRA", "other.twice.<locals>.wrapper"}
    assert all(part.via[-1] in part.name for part in drift.parts)


def test_packages_and_relative_imports_are_followed(project: NewProject) -> None:
    made = project(
        flow="import pkg\ndef run(o): return pkg.api.go(o), pkg.help(o)\n",
        pkg__init="from .tools import help\nfrom . import api\n",
        pkg__api="from .tools import LIMIT as L\ndef go(o): return L\n",
        pkg__tools="LIMIT = 1\ndef help(o): return 1\n",
    )
    assert set(made.document().parts) == {
        "flow.run", "pkg.api.go", "pkg.tools.help", "pkg.tools.LIMIT",
    }  # fmt: skip
    assert [p.name for p in made.drift(pkg__tools="LIMIT = 2\ndef help(o): return 1\n").parts] == [
        "pkg.tools.LIMIT"
    ]


def test_modules_that_import_each_other_are_read(project: NewProject) -> None:
    made = project(
        flow="import other\ndef run(o): return other.back(o)\ndef deep(o): return 1\n",
        other="import flow\ndef back(o): return flow.deep(o), flow.run\n",
    )
    assert set(made.document().parts) == {"flow.run", "other.back", "flow.deep"}


def test_where_a_function_lies_is_no_code_but_what_it_imports_is(project: NewProject) -> None:
    flow = "from {0} import helper\ndef run(o): return helper(o)\n"
    helper = "from json import dumps\ndef helper(o): return dumps(o)\n"
    made = project(flow=flow.format("one"), one=helper, two=helper)
    before = made.code().digest
    made.write(flow=flow.format("two"))
    assert made.code().digest == before
    made.write(two=helper.replace("json", "pickle"))
    assert made.code().digest != before


def test_functions_that_change_places_are_told_apart(project: NewProject) -> None:
    flow = "from one import f\nfrom two import f as g\ndef run(o): return f(o) - g(o)\n"
    made = project(flow=flow, one="def f(o): return 1\n", two="def f(o): return 2\n")
    before = made.code().digest
    made.write(one="def f(o): return 2\n", two="def f(o): return 1\n")
    assert made.code().digest != before


def test_how_a_step_is_declared_is_not_its_code(project: NewProject) -> None:
    flow = (
        "from marin_build import step, StepSpec\n"
        "raw = StepSpec(name='raw', tags=['a'])\n"
        "@step(retries=2)\ndef go(output: str): return raw.name\nrun = go().fn\n"
    )
    made = project(flow=flow)
    assert not made.drift(flow=flow.replace("retries=2", "retries=3, tags=['x']"))
    assert not made.drift(flow=flow.replace("'a'", "'b'"))


def test_captured_values_are_code_and_no_secret_is_kept(project: NewProject) -> None:
    flow = "def make(n, key):\n    def run(o): return n, key\n    return run\nrun = make(1, 'pw')\n"
    made = project(flow=flow)
    assert made.code().captured["n"] == "1"
    assert "pw" not in str(made.code().captured)
    assert made.drift(flow=flow.replace("make(1", "make(2")).differences == ("captured n 1 -> 2",)
    assert made.drift(flow=flow.replace("make(1, 'pw'", "make(2, 'x'")).text == (
        "code changed since built: captured `key` differs"
    )


def test_the_state_of_a_methods_owner_is_code(project: NewProject) -> None:
    flow = (
        "class T:\n    def __init__(self, lr): self.lr = lr\n    def go(self, o): return self.lr\n"
        "run = T(0.5).go\n"
    )
    drift = project(flow=flow).drift(flow=flow.replace("0.5", "0.25"))
    assert drift.differences == ("captured self.lr 0.5 -> 0.25",)


def test_an_expression_of_a_thousand_terms_is_read(project: NewProject) -> None:
    flow = f"def run(o): return {' + '.join(['o'] * 1200)}\n"
    limit = sys.getrecursionlimit()
    try:
        made = project(flow=flow)
        assert made.drift(flow=flow.replace("o\n", "o + 1\n")).parts
    finally:
        sys.setrecursionlimit(limit)


def test_many_functions_of_one_file_do_not_take_the_square_of_their_number(
    project: NewProject,
) -> None:
    new = project()
    few, many = _work_for(new, 200), _work_for(new, 400)
    assert few["compile"] == many["compile"], "a file is parsed once"
    assert many["call"] < 3 * few["call"]
    assert many["c_call"] < 3 * few["c_call"]


def _work_for(project: Project, count: int) -> Counter[str]:
    """Return how many calls it takes to read so many functions of one file."""
    lines = [f"    fs.append(lambda o: o + {i})" for i in range(count)]
    text = "def make():\n    fs = []\n" + "\n".join(lines) + "\n    return fs\nrun = make()[0]\n"
    project.write(**{f"flow{count}": text})
    functions = project.load(f"flow{count}").make()
    work = Counter[str]()
    sys.setprofile(lambda _, event, arg: work.update([event, getattr(arg, "__name__", "")]))
    try:
        digests = {code_digest(fn) for fn in functions}
    finally:
        sys.setprofile(None)
    assert len(digests) == count
    return work


UNSEEN = {
    "getattr(o, o)": "def run(o): return getattr(o, o)()\n",
    "eval(o)": "def run(o): return eval(o)\n",
    "exec(o)": "def run(o): exec(o)\n",
    "importlib.import_module": "import importlib\ndef run(o): return importlib.import_module(o)\n",
    "importlib.import_module (": "def run(o):\n    from importlib import import_module as i\n"
        "    return i(o)\n",
    "f(o), which is passed in": "def help(f, o): return f(o)\ndef run(o): return help(len, o)\n",
    "the module other, used as a value": "import other\ndef run(o): return vars(other)\n",
    "an item of T, which is called": "T = {}\ndef run(o): return T[o](o)\n",
    "nowhere, which flow does not define": "def run(o): return nowhere(o)\n",
    "has no source": "exec('def run(o): return 1')\n",
    "the state of a _thread.lock (f)":
        "import threading\ndef make(f):\n    def run(o): return f\n    return run\n"
        "run = make(threading.Lock())\n",
}  # fmt: skip


@pytest.mark.parametrize(("expected", "flow"), UNSEEN.items(), ids=UNSEEN)
def test_what_cannot_be_followed_is_listed(project: NewProject, expected: str, flow: str) -> None:
    made = project(flow=flow, other="")
    unseen = made.document().unseen
    assert any(expected in item for item in unseen), unseen
    assert made.drift(flow="# edited\n" + flow).unseen == unseen


PLAIN = {
    "a builtin": "def run(o): return [x for x in o if hasattr(x, 'y')]\n",
    "types": "from __future__ import annotations\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from missing import T\n"
        "def run(o: T) -> list[T]: return __file__\n",
    "an error": "import os.path\ndef run(o):\n    try: return os.path.join(o)\n"
        "    except OSError as e: raise e\n",
    "a match": "def run(o):\n    match o:\n        case [a, *b]: return a, b\n"
        "        case {'k': c, **d}: return c, d\n",
    "a class": "class A:\n    x = 1\n    y = [z for z in [x]]\n"
        "    def go(self): return __class__\ndef run(o): return A\n",
    "a local decorator": "def make(d):\n    def deco(f): return f\n    @deco\n"
        "    def run(o, k=d): return k\n    return run\nrun = make(1)\n",
}  # fmt: skip


@pytest.mark.parametrize("flow", PLAIN.values(), ids=PLAIN)
def test_plain_code_leaves_nothing_unseen(project: NewProject, flow: str) -> None:
    assert project(flow=flow).document().unseen == ()
