"""`report`: one page for colleagues, of whatever is built, failed, missing or in a bucket."""

from __future__ import annotations

import html
import re
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.servers.gcs import GcsServer

from .support import DIAMOND, OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .support import Project

BUCKET = "outputs"
PREFIX = f"gs://{BUCKET}/run"
IN_A_BUCKET = """\
import fsspec

from marin_build import step


@step(name="say/n")
def say(output: str, n: int = 1) -> dict[str, int]:
    with fsspec.open(f"{output}/n.csv", "w") as stream:
        stream.write(f"step,n\\n1,{n}\\n")
    with fsspec.open(f"{output}/n.svg", "w") as stream:
        stream.write("<svg xmlns='http://www.w3.org/2000/svg'></svg>")
    with fsspec.open(f"{output}/odd.png", "w") as stream:
        stream.write("no picture")
    return {"n": n}


def pipeline(n: int = 1):
    return [say(n=n)]
"""


@pytest.fixture
def server() -> Iterator[GcsServer]:
    """A bucket of its own."""
    with GcsServer(BUCKET) as made:
        yield made


@pytest.fixture
def diamond(project: Project) -> Project:
    """A project in which everything is built."""
    project.pipeline(DIAMOND)
    assert project.run("apply", "-q").code == 0
    return project


def report_of(project: Project, *words: str, file: str = "report.html") -> str:
    """Write the report; return its page without what the frame of the graph holds."""
    done = project.run("report", *words)
    assert (done.code, done.out) == (0, ""), done.err
    return re.sub(r' srcdoc="[^"]*"', "", project.file(file))


def shown(page: str) -> str:
    """Return what of a page is text."""
    return html.unescape(re.sub("<[^>]*>", "", page.partition("<body>")[2]))


def test_it_is_written_where_it_is_asked_for_and_says_so(diamond: Project) -> None:
    """Else people search for the page they have just asked for."""
    done = diamond.run("report")
    assert (done.code, done.out) == (0, "")
    assert re.fullmatch(r"written: report\.html \(4 targets, \d+ KiB\)\n", done.err)
    assert diamond.run("report", "left", "-o", "pages/left.html").code == 0
    text = shown(report_of(diamond, "left", "-o", "pages/left.html", file="pages/left.html"))
    assert "A report on “left” and what it was made from: both are built." in text
    assert not list(diamond.root.glob("*.tmp")), "it was written as a whole"


def test_only_a_report_is_replaced_unless_a_person_names_the_file(diamond: Project) -> None:
    """Else the report that a step or an author wrote into the project is gone."""
    diamond.write("report.html", "<h1>my own</h1>")
    refused = diamond.run("report")
    assert refused.code == 4
    assert refused.err.startswith(
        "error: `report.html` is there, and is no report of marin-build\n"
    )
    assert diamond.file("report.html") == "<h1>my own</h1>"
    assert diamond.run("report", "-o", "report.html").code == 0
    assert diamond.run("report").code == 0, "a second one replaces the first"


@pytest.mark.parametrize("place", ["gs://lab/report.html", "pipeline.py/report.html", "."])
def test_a_place_that_cannot_be_written_is_an_error_that_names_it(
    diamond: Project, place: str
) -> None:
    done = diamond.run("report", "-o", place)
    assert done.code == 4
    assert place in done.err
    assert "Traceback" not in done.err


def test_what_is_not_built_is_said_honestly(diamond: Project) -> None:
    """Else a report looks finished that is not."""
    text = shown(report_of(diamond, "--set", "left=7"))
    assert "of 4 targets, 2 are built, 2 are stale." in text
    assert "attrs.times 1 -> 7" in text, "why"
    diamond.run("apply", "-q", "--set", "left=7")
    removed = next(iter(diamond.root.glob(f"{OUTPUTS}/right_*")))
    subprocess.run(["rm", "-r", str(removed)], check=True)
    text = shown(report_of(diamond, "--set", "left=7"))
    assert "of 4 targets, 3 are built, 1 is not built." in text
    assert "not built, and nothing needs it: all targets that are made from it are built" in text
    nothing = shown(report_of(diamond, "--prefix", "elsewhere"))
    assert "of 4 targets, 4 are to be built." in nothing
    assert "No record says how anything of this was built." in nothing


def test_code_that_changed_since_is_on_the_page(diamond: Project) -> None:
    """Else scores of old code are sent around as those of the new."""
    diamond.pipeline(DIAMOND.replace('f"{found}\\n")\n    return', 'f"{found} \\n")\n    return'))
    text = shown(report_of(diamond))
    assert "were built by other code, or in another environment, than today" in text
    assert "code changed since built: pipeline.count() +1 -1" in text


def test_durations_stand_beside_what_was_expected(diamond: Project) -> None:
    """Else nobody sees that a step became slower."""
    assert (
        "expected" not in shown(report_of(diamond)).partition("Durations")[2].partition("Code")[0]
    )
    assert diamond.run("apply", "-q", "--set", "lines=9").code == 0
    text = shown(report_of(diamond, "--set", "lines=9"))
    durations = text.partition("What each target took")[2].partition("Code and runs")[0]
    assert "what earlier builds of its name led to expect" in durations


def test_it_says_how_to_build_it_again(diamond: Project) -> None:
    """Else a number in a report cannot be made twice."""

    def git(*words: str) -> str:
        named = ("git", "-C", str(diamond.root), "-c", "user.name=a", "-c", "user.email=a@b.c")
        return subprocess.run([*named, *words], capture_output=True, text=True, check=True).stdout

    git("init", "-q")
    git("add", "pipeline.py")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD").strip()
    words = ("--set", "lines=5", "--prefix", "a place")
    assert diamond.run("apply", "-q", *words).code == 0
    text = shown(report_of(diamond, *words, "report", "left"))
    assert f"git checkout {commit}\n" in text
    assert "marin-build apply --prefix 'a place' --set lines=5 report left\n" in text
    assert f"commit {commit[:12]}\n" in text
    assert "--set lines5" in text
    diamond.pipeline(DIAMOND + "\n")
    assert "with changes that were not committed" in shown(report_of(diamond, *words))
    first = next(line for line in text.splitlines() if line.startswith("marin-build apply "))
    again = diamond.run(*shlex.split(first)[1:])
    assert again.out.startswith("nothing to do"), "the command of the page works"


def test_equal_facts_give_equal_bytes(diamond: Project) -> None:
    """Else a committed page changes with every look at it."""
    pages = []
    for seed in "12":
        diamond.environment["PYTHONHASHSEED"] = seed
        report_of(diamond)
        pages.append((diamond.root / "report.html").read_bytes())
    assert pages[0] == pages[1]


def test_neither_secrets_nor_places_of_the_machine_are_in_it(project: Project) -> None:
    """Else a page that is mailed around tells what a colleague must not know."""
    project.environment["API_TOKEN"] = "do-not-tell-this"
    project.pipeline(
        "import os\n"
        "from marin_build import step\n"
        "@step\n"
        "def tell(output: str) -> dict[str, str]:\n"
        "    open(f'{output}/said.txt', 'w').write(os.environ['API_TOKEN'])\n"
        "    open(f'{output}/where.txt', 'w').write(os.getcwd() + '/x ' + os.environ['HOME'])\n"
        "    return {'api_key': 'k' * 30, 'said': os.environ['API_TOKEN']}\n"
        "def pipeline(token: str = ''):\n"
        "    return [tell()]\n"
    )
    assert project.run("apply", "-q").code == 0
    done = project.run("report", "--set", "token=hunter3hunter3")
    assert done.code == 0
    page = project.file("report.html")
    for secret in ("do-not-tell", "hunter3", "k" * 30):
        assert secret not in page
    assert str(project.root) not in page
    assert str(project.home) not in page
    assert "[API_TOKEN]" in page


def test_a_report_on_outputs_in_a_bucket(project: Project, server: GcsServer) -> None:
    """Else results in a bucket have to be copied to be shown."""
    project.build_in_bucket(server.url, PREFIX)
    project.pipeline(IN_A_BUCKET)
    built = project.run("apply", "-q")
    assert built.code == 0, built.err
    done = project.run("report")
    assert done.code == 0, done.err
    assert "odd.png: it is no picture of the kind PNG that can be shown" in done.err
    page = project.file("report.html")
    assert 'href="https://console.cloud.google.com/storage/browser/outputs/run/say/n_' in page
    assert "data:image/svg+xml;base64," in page
    text = shown(re.sub(r' srcdoc="[^"]*"', "", page))
    assert "n.csv\n" in text
    assert "odd.png 10 B; not shown: it is no picture" in text
    assert f"marin-build apply --prefix {PREFIX}\n" in text, "where a colleague finds it"


def test_a_project_can_replace_a_part_of_the_page(diamond: Project) -> None:
    """Else people edit the page by hand after each run."""
    diamond.write("marin-build.toml", 'templates = "ours"\n')
    diamond.write(
        "ours/report/results.html.j2", '<section id="results">ours: {{ total | xml }}</section>'
    )
    assert "ours: 4" in shown(report_of(diamond))
    diamond.write("ours/report/results.html.j2", "{{ nothing | xml }}")
    done = diamond.run("report")
    assert done.code == 4
    assert "uses a value it is not given" in done.err
