"""A run that compares code with what an earlier process read finds what one that reads it finds.

Each edit is made to a project whose code is known, and the answer of a run that may use that is
compared with the answer of a run that may not.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .support import Project

PIPELINE = """\
import json
import os
import sys
import time
from functools import partial
from pathlib import Path

# Files count as old, so that what is read of them is kept at once.
now = time.time_ns
time.time_ns = lambda: now() + 10_000_000_000
HERE = Path(__file__).parent
sys.path.append(str(HERE / "late"))

import words
from lm import tokenizer
from lm.limits import LIMIT
from shape import Square
from marin_build import StepSpec

size = json.loads((HERE / "size.json").read_text())
scale = int(os.environ.get("SCALE", "1"))


def imports(output_path):
    from lm import text
    Path(output_path, "n").write_text(str(text.clean(1)))


def calls(output_path):
    Path(output_path, "n").write_text(str(tokenizer.batch(LIMIT)))


def shadowed(output_path):
    Path(output_path, "n").write_text(words.said())


def default(output_path, size=size):
    Path(output_path, "n").write_text(str(size))


def scaled(by, output_path):
    Path(output_path, "n").write_text(str(by))


def closure(shape):
    def run(output_path):
        Path(output_path, "n").write_text(str(shape.area()))
    return run


one, two = (lambda output_path: output_path + "1"), (lambda output_path: output_path + "2")


def pipeline():
    steps = [
        StepSpec(name="imports", fn=imports),
        StepSpec(name="calls", fn=calls),
        StepSpec(name="shadowed", fn=shadowed),
        StepSpec(name="default", fn=default),
        StepSpec(name="scaled", fn=partial(scaled, scale)),
        StepSpec(name="closure", fn=closure(Square(2))),
        StepSpec(name="one", fn=one),
        StepSpec(name="two", fn=two),
        StepSpec(name="varied", fn=imports, env_vars={"V": os.environ.get("V", "1")}),
    ]
    return [StepSpec(name="end", fn=calls, deps=steps), *steps]
"""
FILES = {
    "pipeline.py": PIPELINE,
    "lm/__init__.py": "",
    "lm/tokenizer.py": "from .text import clean\n\n\ndef batch(n):\n    return clean(n) + 1\n",
    "lm/text.py": "def clean(n):\n    return n * 2\n",
    "lm/limits.py": "LIMIT = 7\n",
    "late/words.py": "def said():\n    return 'late'\n",
    "shape.py": "class Square:\n    def __init__(self, side):\n        self.side = side\n\n"
    "    def area(self):\n        return self.side ** 2\n",
    "size.json": "3",
}
CLEAN = {"imports", "calls", "varied", "end"}
CALLS = {"calls", "end"}


class Edit(NamedTuple):
    """An edit, and the targets that it makes drift.

    Args:
        make: edits the project in a folder.
        drifted: the names of the targets.
        env: environment variables of the run after it.

    """

    make: Callable[[Path], None]
    drifted: set[str]
    env: Mapping[str, str] = {}


def _replaced(name: str, old: str, new: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new))

    return make


def _with_old_times(root: Path) -> None:
    before = (root / "lm/text.py").stat()
    _replaced("lm/text.py", "n * 2", "n * 3")(root)
    os.utime(root / "lm/text.py", ns=(before.st_atime_ns, before.st_mtime_ns))


def _renamed_over(root: Path) -> None:
    before = (root / "lm/text.py").stat()
    (root / "new.py").write_text(FILES["lm/text.py"].replace("n * 2", "n * 3"))
    os.utime(root / "new.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    (root / "new.py").rename(root / "lm/text.py")


def _became_a_package(root: Path) -> None:
    (root / "lm/text.py").unlink()
    (root / "lm/text").mkdir()
    (root / "lm/text/__init__.py").write_text(FILES["lm/text.py"].replace("n * 2", "n * 3"))


def _became_a_link(root: Path) -> None:
    (root / "lm/other.py").write_text(FILES["lm/text.py"].replace("n * 2", "n * 3"))
    (root / "lm/text.py").unlink()
    (root / "lm/text.py").symlink_to("other.py")


def _written(name: str, text: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        (root / name).write_text(text)

    return make


EDITS = {
    "nothing": Edit(lambda _: None, set()),
    "a comment": Edit(_replaced("lm/text.py", "n * 2", "n * 2  # twice"), set()),
    "touched": Edit(lambda root: (root / "lm/text.py").touch(), set()),
    "a step": Edit(
        _replaced("pipeline.py", "text.clean(1)", "text.clean(2)"), {"imports", "varied"}
    ),
    "a helper": Edit(_replaced("lm/tokenizer.py", "+ 1", "+ 2"), CALLS),
    "two modules away": Edit(_replaced("lm/text.py", "n * 2", "n * 3"), CLEAN),
    "a constant": Edit(_replaced("lm/limits.py", "7", "8"), CALLS),
    "times put back": Edit(_with_old_times, CLEAN),
    "renamed over": Edit(_renamed_over, CLEAN),
    "now a package": Edit(_became_a_package, CLEAN),
    "now a link": Edit(_became_a_link, CLEAN),
    "another name": Edit(
        _replaced("lm/tokenizer.py", "from .text import clean", "clean = abs"), CALLS
    ),
    "found elsewhere": Edit(_written("words.py", "def said():\n    return 'soon'\n"), {"shadowed"}),
    "a default from a file": Edit(_written("size.json", "4"), {"default"}),
    "a captured value": Edit(lambda _: None, {"scaled"}, {"SCALE": "2"}),
    "a captured class": Edit(_replaced("shape.py", "side ** 2", "side ** 3"), {"closure"}),
    "a captured state": Edit(_replaced("pipeline.py", "Square(2)", "Square(3)"), {"closure"}),
    "a lambda in a line": Edit(_replaced("pipeline.py", '+ "2")', '+ "3")'), {"two"}),
    "lines above": Edit(_replaced("pipeline.py", "import json\n", "import json\n\n\n"), set()),
    "a variable": Edit(lambda _: None, {"varied"}, {"V": "2"}),
    "a lock file": Edit(
        _written("uv.lock", "x"),
        {*CLEAN, "shadowed", "default", "scaled", "closure", "one", "two"},
    ),
}


@pytest.fixture
def known(project: Project) -> Project:
    """A project that is built, and whose code an earlier process has read."""
    for name, text in FILES.items():
        project.write(name, text)
    project.write("pyproject.toml", "")
    # Where a whole load is known, no code is asked for: here it is about what is known of code.
    project.write("marin-build.toml", "analysis_cache = false\n")
    project.environment["PYTHONDONTWRITEBYTECODE"] = "1"
    assert project.run("apply", "-q").code == 0
    assert _drifted(project) == set()
    assert list(_facts(project)), "the code was not kept"
    return project


def _facts(project: Project) -> Iterator[Path]:
    return (project.root / ".marin-build/facts").glob("*")


def _drifted(project: Project, env: Mapping[str, str] | None = None) -> set[str]:
    done = project.run("apply", "--json", env=env)
    assert done.code == 0, done.err
    (totals,) = done.events
    return {name for group in totals["drifted"] for name in group["names"]}


def _read_anew(project: Project, env: Mapping[str, str] | None = None) -> set[str]:
    """Return what drifted, as a run finds that knows nothing, and forget what it found out."""
    kept = project.root / "kept"
    (project.root / ".marin-build/facts").rename(kept)
    try:
        return _drifted(project, env)
    finally:
        shutil.rmtree(project.root / ".marin-build/facts", ignore_errors=True)
        kept.rename(project.root / ".marin-build/facts")


def test_after_every_edit_the_quick_answer_is_the_full_one(known: Project) -> None:
    """Else an edit goes unnoticed, and results of old and of new code go into one report."""
    pristine = known.root.parent / "pristine"
    shutil.copytree(known.root, pristine, symlinks=True)
    wrong: dict[str, Any] = {}
    for name, edit in EDITS.items():
        for path in FILES:
            (known.root / path).unlink(missing_ok=True)
        for path in ("words.py", "uv.lock", "lm/other.py"):
            (known.root / path).unlink(missing_ok=True)
        shutil.rmtree(known.root / "lm/text", ignore_errors=True)
        for path in FILES:
            shutil.copy2(pristine / path, known.root / path)
        assert _drifted(known) == set(), f"before {name}"
        assert list(_facts(known))
        edit.make(known.root)
        quick = _drifted(known, edit.env)
        full = _read_anew(known, edit.env)
        if not quick == full == edit.drifted:
            wrong[name] = quick, full, edit.drifted
    assert wrong == {}


def test_nothing_is_read_anew_where_nothing_changed(known: Project) -> None:
    """Else a run with nothing to do takes longer for each module of the project."""
    read = "import marin_build.identity.code.syntax as it; it.parse_file = None\n"
    known.write("pipeline.py", read + PIPELINE)
    assert known.run("apply", "--json").code == 3, "it is read, since the file has changed"
    for name, text in FILES.items():
        known.write(name, text)
    assert _drifted(known) == set()
    (facts,) = _facts(known)
    before = facts.stat()
    assert _drifted(known) == set()
    assert (facts.stat().st_ino, facts.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


MADE = """\
import time
from pathlib import Path
from marin_build import StepSpec

now = time.time_ns
time.time_ns = lambda: now() + 10_000_000_000
made = {}
exec((Path(__file__).parent / "made.txt").read_text(), made)


def pipeline():
    return StepSpec(name="made", fn=made["made"])
"""


def test_code_of_no_file_is_compared_each_time(project: Project) -> None:
    project.write("made.txt", "def made(output_path):\n    return 1\n")
    project.pipeline(MADE)
    assert project.run("apply", "-q").code == 0
    assert _drifted(project) == _drifted(project) == set()
    project.write("made.txt", "def made(output_path):\n    return 2\n")
    assert _drifted(project) == {"made"}


DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "a list": lambda _: [],
    "no facts": lambda it: it | {"facts": None},
    "another project": lambda it: it | {"made_for": [*it["made_for"][:-1], "[]"]},
    "no digest": lambda it: it | {"facts": it["facts"] | {"functions": {"k": ["f", 1, []]}}},
    "no stamps": lambda it: it | {"facts": it["facts"] | {"files": {"\0": [1]}}},
    "a module with a dot": lambda it: (
        it | {"facts": it["facts"] | {"lookups": {**it["facts"]["lookups"], "tops": {"a.b": None}}}}
    ),
    "false digests": lambda it: (
        it
        | {
            "facts": it["facts"]
            | {
                "functions": {
                    key: [name, "0" * 64, free]
                    for key, (name, _, free) in it["facts"]["functions"].items()
                }
            }
        }
    ),
}


def test_damaged_or_foreign_facts_count_as_missing(known: Project) -> None:
    """Else a file that nobody looks at decides whether drift is reported."""
    (facts,) = _facts(known)
    good = json.loads(facts.read_text())
    for name, damage in DAMAGE.items():
        facts.write_text(json.dumps(damage(good)))
        assert _drifted(known) == set(), name
    for bad in (b"", b"\xff", b"[" * 100_000, b"{"):
        facts.write_bytes(bad)
        assert _drifted(known) == set(), bad[:9]
    for replace_by in (Path.mkdir, lambda path: path.symlink_to("/dev/zero")):
        facts.unlink()
        replace_by(facts)
        assert _drifted(known) == set()
        assert facts.is_symlink() or facts.is_dir() or facts.is_file()
        shutil.rmtree(facts) if facts.is_dir() else facts.unlink(missing_ok=True)
        assert _drifted(known) == set()
    facts.chmod(0o666)
    _replaced("lm/tokenizer.py", "+ 1", "+ 2")(known.root)
    assert _drifted(known) == CALLS
