"""Which edits of files change what a step that runs may still read of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import packaging.version
import pytest

from marin_build.identity.code.changes import reached_code
from marin_build.identity.code.digest import code_digest

if TYPE_CHECKING:
    from tests.unit.identity.code.conftest import NewProject, Project

FLOW = """\
from package import eager
from marin_build import StepSpec, step

def run(output):
    from package.late import strip
    from package import again
    return eager.batch(strip(output)), again

def other(output):
    return 1

MADE = [lambda output: (output, 1), lambda output: (output, 2)]

def make(n):
    def inner(output):
        return eager.batch(output) + n
    return inner

nested = make(3)
data = StepSpec(name="data", fn=other)

@step(retries=1)
def declared(output):
    return data
"""
EAGER = "LIMIT = 10\ndef batch(x):\n    return x[:LIMIT]\ndef unused(x):\n    return x\n"
LATE = 'def strip(x):\n    """Strip."""\n    return x.strip()\n'
INIT = "from package.again import again\n"
AGAIN = "def again():\n    return 1\n"


def _made(project: NewProject) -> Project:
    return project(
        flow=FLOW, package__eager=EAGER, package__late=LATE, package__init=INIT,
        package__again=AGAIN, package__third="def again():\n    return 3\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("edits", "changed"),
    [
        ({"package__late": LATE.replace("strip()", "lstrip()")}, "package.late.strip"),
        ({"package__late": ""}, "package.late.strip"),
        ({"package__late": "def strip(:"}, "package.late.strip"),
        ({"package__eager": EAGER.replace("10", "11")}, "package.eager.LIMIT"),
        ({"package__eager": EAGER.replace("[:LIMIT]", "[LIMIT:]")}, "package.eager.batch"),
        ({"package__eager": EAGER + "LIMIT = 12\n"}, "package.eager.LIMIT"),
        ({"package__eager": EAGER + "batch = print\n"}, "package.eager.batch"),
        ({"package__again": AGAIN.replace("1", "2")}, "package.again.again"),
        ({"package__init": "from package.third import again\n"}, "package.again"),
        ({"flow": FLOW.replace("strip(output)", "strip(output * 2)")}, "flow.run"),
        ({"flow": FLOW.replace("package import eager", "package import late as eager")},
         "flow.eager"),
    ],
)  # fmt: skip
def test_what_the_step_reaches_has_changed(
    project: NewProject, edits: dict[str, str], changed: str
) -> None:
    """Else what two versions of the code made is committed as made by the first."""
    made = _made(project)
    reached = reached_code(made.load().run)
    assert reached.changed() == ""
    made.write(**edits)
    assert reached.changed() == changed
    made.write(flow=FLOW, package__eager=EAGER, package__late=LATE, package__init=INIT,
               package__again=AGAIN)  # fmt: skip
    assert reached.changed() == "", "put back, the code is what it was"


@pytest.mark.parametrize(
    "edits",
    [
        {"package__late": LATE},  # written, with the same bytes
        {"package__late": LATE.replace("Strip.", "Strips.").replace("    ", "  ")},
        {"package__eager": EAGER.replace("return x\n", "return 2 * x\n")},
        {"package__eager": "# a comment\nimport os\n" + EAGER + "NEW = 1\n"},
        {"flow": "# moved down\n\n" + FLOW.replace("return 1", "return 2")},
        {"flow": FLOW.replace("retries=1", "retries=2")},
        {"package__third": "def again():\n    return 4\n"},
    ],
)
def test_what_it_does_not_reach_may_change(project: NewProject, edits: dict[str, str]) -> None:
    """Else a comment written during three days of training loses them."""
    made = _made(project)
    reached = reached_code(made.load().run)
    made.write(**edits)
    assert reached.changed() == ""


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("nested", "batch(output) + n", "batch(output) - n"),
        ("MADE", "(output, 1)", "(output, 3)"),
        ("declared", "return data", "return data, 1"),
    ],
)
def test_functions_without_a_name_in_their_module(
    project: NewProject, name: str, old: str, new: str
) -> None:
    """Else steps made by a factory or a lambda are not watched."""
    made = _made(project)
    flow = made.load()
    reached = reached_code(flow.MADE[0] if name == "MADE" else getattr(flow, name))
    made.write(flow="\n\n" + FLOW)
    assert reached.changed() == ""
    made.write(flow=FLOW.replace(old, new))
    assert reached.changed().startswith("flow.")


def test_values_of_installed_modules_are_not_watched() -> None:
    """Else a step that holds one fails before it begins."""
    held = packaging.version.Version("1.0")
    assert reached_code(lambda _: held).changed() == ""


def test_the_file_is_gone(project: NewProject) -> None:
    """Else a step that could not have imported it any more is committed."""
    made = _made(project)
    reached = reached_code(made.load().run)
    (made.root / "package" / "late.py").unlink()
    assert reached.changed() == "package.late.strip"


def test_digests_are_of_the_code_as_it_was_loaded(project: NewProject) -> None:
    """Else the record of a run names code that it did not run."""
    made = _made(project)
    run = made.load().run
    before, reached = code_digest(run), reached_code(run)
    made.write(package__late="")
    assert reached.changed()
    assert code_digest(run) == before
