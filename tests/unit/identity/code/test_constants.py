"""Constants whose value no source says are listed; those whose source says it are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.identity.code.conftest import NewProject

RUN = "def run(o): return N\n"
COMPUTED = {
    "the environment": "import os\nN = int(os.environ['HOME'] and 1)\n",
    "a copy of it": "from os import environ as e\nN = dict(e)\n",
    "a default of it": "import os\nN = os.environ.get('NN', 3)\n",
    "getenv": "import os\nN = os.getenv('NN')\n",
    "a part of it": "import os\nN = [1, {'a': os.environ.get('NN')}]\n",
    "arguments": "import sys\nN = len(sys.argv)\n",
    "a file": "with open(__file__) as f:\n    N = f.read()\n",
    "a path's file": "from pathlib import Path\nN = Path(__file__).read_text()\n",
    "a path's name": "from pathlib import Path\nP = Path(__file__)\nN = P.exists()\n",
    "the clock": "import datetime\nN = datetime.datetime.now()\n",
    "chance": "import random\nN = random.random()\n",
    "installed": "import pydantic\nN = pydantic.version.version_info()\n",
    "a function": "import os\ndef get(k): return os.environ.get(k)\nN = get('NN')\n",
    "a class": "import os\nclass C:\n    def __init__(self): self.n = os.getenv('NN')\nN = C()\n",
    "a base": "import os\nclass B:\n    def __init__(self): self.n = os.getenv('N')\n"
        "class C(B): pass\nN = C()\n",
    "a condition": "import os\nif os.environ.get('NN'):\n    N = 1\nelse:\n    N = 2\n",
    "a function on condition": "import os\nif os.environ.get('NN'):\n    def N(): return 1\n"
        "else:\n    def N(): return 2\n",
    "a filled table": "import os\nN = {}\nN['a'] = os.getenv('N')\n",
    "a method of a class": "import os\nclass C:\n    @classmethod\n"
        "    def get(cls): return os.getenv('NN')\nN = C.get()\n",
}  # fmt: skip


@pytest.mark.parametrize("text", COMPUTED.values(), ids=COMPUTED)
def test_a_value_that_is_not_in_the_source_is_listed(project: NewProject, text: str) -> None:
    """Else results depend on a variable of the environment, and `explain --code` is silent."""
    made = project(flow=text + RUN)
    assert "the value of flow.N, which is computed on import" in made.document().unseen
    made.write(flow="from other import N\n" + RUN, other=text)
    assert "the value of other.N, which is computed on import" in made.document().unseen


SAID = {
    "arithmetic": "import math\nB = 2\nN = [3 * B + math.pi, -B, not B, B < 3 < 4, f'{B:>3}']\n",
    "functions of Python": "N = sorted({int('3'), len('ab'), *range(3)})\n",
    "methods": "W = 'a b'\nN = frozenset(W.split()) | {'x'.upper()}\n",
    "comprehensions": "N = {k: v for k, v in zip('ab', range(2)) if k.isalpha()}\n",
    "patterns": "import re\nN = re.compile('a', re.IGNORECASE)\n",
    "collections": "from collections import OrderedDict, namedtuple\nP = namedtuple('P', 'a')\n"
        "N = OrderedDict(a=P(1))\n",
    "a partial": "import functools\nN = functools.partial(len)\n",
    "paths": "from pathlib import Path\nN = Path(__file__).resolve().parent / 'data'\n",
    "dates": "import datetime as dt\nN = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)\n",
    "types": "from typing import TypeVar, Callable\nT = TypeVar('T')\nN = Callable[[T], 'int']\n",
    "a sentinel": "N = object()\n",
    "an alias": "import os\nN = os.getenv\n",
    "a lambda": "import os\nN = lambda: os.getenv('NN')\n",
    "a dataclass": "import dataclasses, os\n@dataclasses.dataclass\nclass C:\n    n: int\n"
        "    def later(self): return os.getenv('x')\nN = C(1)\n",
    "a model": "import pydantic\nclass C(pydantic.BaseModel):\n    n: int\nN = C(n=1)\n",
    "an enum": "import enum\nclass E(enum.Enum):\n    A = 1\nN = [E.A, E(1)]\n",
    "a function": "def make(n):\n    if n > 1: return [make(n - 1)]\n    return abs(n)\n"
        "N = make(3)\n",
    "a version of Python": "import sys\nif sys.version_info >= (3, 12):\n    N = 1\nelse:\n"
        "    N = 2\n",
    "a logger": "import logging\nN = logging.getLogger(__name__)\n",
    "a step": "from marin_build import StepSpec\nN = StepSpec(name='a')\n",
}  # fmt: skip


@pytest.mark.parametrize("text", SAID.values(), ids=SAID)
def test_a_value_that_the_source_says_is_not(project: NewProject, text: str) -> None:
    """Else the list is so long that nobody reads it."""
    assert project(flow=text + RUN).document().unseen == ()


def test_that_a_value_is_computed_is_no_change_of_code(project: NewProject) -> None:
    """Else what is built already is built again for a line that `explain` shows."""
    flow = "import os\nN = os.getenv('NN')\n" + RUN
    made = project(flow=flow)
    assert not made.drift(flow="# edited\n" + flow)
    assert set(made.document().parts) == {"flow.run", "flow.N"}
