"""After a sweep: which settings led to which numbers, and what a change made of them."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from markdown_it import MarkdownIt

from marin_build.protocol.record_reader import is_ours
from tests.servers.gcs import GcsServer

from .support import OUTPUTS
from .terminal import on_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .support import Project

BUCKET = "outputs"
PREFIX = f"gs://{BUCKET}/run"
BROKEN = "def f(:\n"
SWEEP = """\
from marin_build import ResourceConfig, StepSpec, step


@step
def corpus(output: str, lines: int) -> str:
    return "a" * lines


@step(name="sweep/lr{rate}/train", resources=ResourceConfig.with_cpu(cpu=1, ram="1g"))
def train(output: str, corpus: str, rate: float) -> dict[str, float]:
    return {"loss": round(1 / rate, 3)}


@step(name="sweep/lr{rate}/eval")
def evaluate(output: str, model: str, rate: float = 0) -> dict[str, object]:
    return {"acc": 0.1 + len(model) % 2, "by_task": {"copy": True}, "curve": [1, 2], "note": "ok"}


def pipeline(rates: tuple[float, ...] = (0.1, 0.2, 0.5), lines: int = 3) -> list[StepSpec]:
    text = corpus(lines=lines)
    return [evaluate(model=train(corpus=text, rate=rate), rate=rate) for rate in rates]
"""
SCORES = """\
from marin_build import StepSpec, step


@step
def tokens(output: str, size: int) -> int:
    return size


@step
def score(output: str, tokens: int, bonus: float = 0.0) -> dict[str, float]:
    return {"acc": tokens / 10 + bonus, "size": 7.0}


def pipeline(sizes: tuple[int, ...] = (1, 2, 3)) -> list[StepSpec]:
    return [score(tokens=tokens(size=size)) for size in sizes]
"""


@pytest.fixture
def scores(project: Project) -> Project:
    """A project with a sweep in which everything is built."""
    project.pipeline(SCORES)
    assert project.run("apply").code == 0
    return project


def rows(project: Project, *words: str) -> list[dict[str, Any]]:
    done = project.run("metrics", *words, "--json")
    assert done.code == 0, done.err
    found: list[dict[str, Any]] = done.document["rows"]
    return found


def test_a_sweep_is_a_table_of_settings_and_numbers(scores: Project) -> None:
    done = scores.run("metrics", "--sort", "-acc")
    assert (done.code, done.err) == (0, "")
    assert scores.mask(done.out).splitlines() == [
        "target          tokens.size  acc  size   time",
        "score_HASH            3  0.3     7  TIME",
        "score_HASH            2  0.2     7  TIME",
        "score_HASH            1  0.1     7  TIME",
    ]


def test_the_settings_of_steps_with_other_names_are_one_column(project: Project) -> None:
    """Else a sweep whose steps are named after a value has a column for each of them."""
    project.pipeline(SWEEP)
    assert project.run("apply").code == 0
    done = project.run("metrics", "sweep/**", "--json")
    assert done.document["attributes"] == ["eval.rate", "train.rate"]
    assert done.document["metrics"] == ["loss", "acc", "by_task.copy"]
    found = rows(project, "sweep/*/train")
    assert [row["attributes"] for row in found] == [{"rate": 0.1}, {"rate": 0.2}, {"rate": 0.5}]
    assert all(row["cost"] > 0 and row["seconds"] > 0 for row in found), "prices are known"
    assert rows(project, "sweep/*/eval")[0]["cost"] is None
    assert "cost" in project.run("metrics", "sweep/*/train").out


def test_exact_numbers_for_programs(project: Project) -> None:
    """Strict readers of JSON refuse NaN, and six digits are too few to compute with."""
    project.pipeline(
        "from marin_build import step\n\n@step\n"
        "def odd(output: str) -> dict[str, float]:\n"
        "    inf = float('inf')\n"
        "    return {'a': inf - inf, 'b': -inf, 'c': 0.1234567890123, 'd': 1234567890.0}\n"
        "\ntargets = [odd()]\n"
    )
    assert project.run("apply").code == 0
    done = project.run("metrics", "--json")
    json.loads(done.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    metrics = done.document["rows"][0]["metrics"]
    assert metrics == {"a": "NaN", "b": "-Infinity", "c": 0.1234567890123, "d": 1234567890.0}
    (row,) = csv.DictReader(io.StringIO(project.run("metrics", "--csv").out))
    assert (row["a"], row["b"], row["c"]) == ("nan", "-inf", "0.1234567890123")
    assert project.run("metrics").out.splitlines()[1].split()[1:5] == [
        "nan", "-inf", "0.123457", "1.23457e+09",
    ]  # fmt: skip


def test_only_one_form_at_a_time(scores: Project) -> None:
    done = scores.run("metrics", "--csv", "--json")
    assert (done.code, done.out) == (4, "")
    for words in (["--diff", "HEAD", "--all"], ["--all", "--run", "latest"], ["--sort", "nothing"]):
        assert scores.run("metrics", *words).code == 4, words


def test_what_is_not_built_or_has_no_numbers_is_said(scores: Project) -> None:
    """Else a sweep that is half done looks whole."""
    done = scores.run("metrics", "--set", "sizes=[1, 4]")
    assert (done.code, len(done.out.splitlines())) == (0, 2)
    assert scores.mask(done.err) == "note: `score_HASH` is not built\n"
    nothing = "@step\ndef nothing(output: str) -> str:\n    return 'no number'\n\n\n"
    text = SCORES.replace("score(tokens=tokens(size=size))", "nothing()")
    scores.pipeline(text.replace("@step\ndef tokens", f"{nothing}@step\ndef tokens"))
    assert scores.run("apply").code == 0
    done = scores.run("metrics")
    assert (done.code, done.out) == (0, "")
    assert "returned no numbers" in done.err


def test_columns_are_chosen_also_those_that_do_not_differ(scores: Project) -> None:
    done = scores.run("metrics", "--columns", "bonus,acc", "--columns", "run")
    assert done.out.splitlines()[0].split() == ["target", "run", "bonus", "acc"]
    assert scores.run("metrics", "--columns", "a*").out.splitlines()[0].split() == ["target", "acc"]
    done = scores.run("metrics", "--columns", "bonsu")
    assert (done.code, "`bonus`" in done.err) == (4, True)


def test_all_builds_of_a_name_whatever_is_declared_now(scores: Project) -> None:
    scores.pipeline(
        SCORES.replace("tokens=tokens(size=size)", "tokens=tokens(size=size), bonus=1.0")
    )
    assert scores.run("apply").code == 0
    found = rows(scores, "--all", "--set", "sizes=[1]", "--sort", "acc")
    assert [row["metrics"]["acc"] for row in found] == [0.1, 0.2, 0.3, 1.1, 1.2, 1.3]
    assert found[0]["attributes"] == {"tokens.size": 1, "bonus": 0.0}, "also from records alone"
    assert "built" in scores.run("metrics", "--all").out.splitlines()[0].split()


def test_runs_are_compared(scores: Project) -> None:
    first = rows(scores)[0]["run"]
    scores.pipeline(
        SCORES.replace("tokens=tokens(size=size)", "tokens=tokens(size=size), bonus=1.0")
    )
    assert scores.run("apply", "--set", "sizes=[1]").code == 0
    found = rows(scores, "score", "--run", first[:5], "--run", "latest", "--sort", "acc")
    assert [(row["run"] == first, row["metrics"]["acc"]) for row in found] == [
        (True, 0.1), (True, 0.2), (True, 0.3), (False, 1.1),
    ]  # fmt: skip
    done = scores.run("metrics", "--run", "r-00000000")
    assert (done.code, "there is no run `r-00000000`" in done.err) == (4, True)


def test_records_answer_when_the_pipeline_does_not_load_or_declares_no_such_step(
    scores: Project,
) -> None:
    before = rows(scores, "--sort", "acc")
    scores.pipeline(SCORES + BROKEN)
    done = scores.run("metrics", "--json", "--sort", "acc")
    assert "the pipeline raised SyntaxError" in done.err
    assert done.document["rows"] == before, "attributes of upstream steps are found in records"
    scores.pipeline(SCORES.replace("def score", "def other").replace("[score", "[other"))
    done = scores.run("metrics", "score", "--json")
    assert (len(done.document["rows"]), "does not declare" in done.err) == (1, True)
    target = before[0]["target"]
    assert [row["target"] for row in rows(scores, target)] == [target]


def test_a_glob_over_names_that_are_declared_no_more(project: Project) -> None:
    """Sweeps are removed from a pipeline sooner than people stop asking about them."""
    project.pipeline(SWEEP)
    assert project.run("apply").code == 0
    project.pipeline(SCORES)
    done = project.run("metrics", "sweep/**/train", "--sort", "-loss", "--json")
    assert [row["metrics"]["loss"] for row in done.document["rows"]] == [10.0, 5.0, 2.0]
    assert [row["attributes"]["rate"] for row in done.document["rows"]] == [0.1, 0.2, 0.5]
    assert project.run("path", "sweep/*/eval").out.count("/eval_") == 3
    assert project.run("metrics", "swept/**").code == 4


HOSTILE = "=cmd|' /C calc'!A0`|\n\x1b[2J\u202e"
STRANGE = f"""\
from marin_build import step

NAMES = ["=1+1", "a|b`c", "\\x1b[31mred", "<b>&", "-2", "seconds", "line\\nbreak", "\\u202e"]


@step
def odd(output: str, word: str) -> dict[str, float]:
    return dict.fromkeys(NAMES, 1.5)


targets = [odd(word={HOSTILE!r}), odd(word="+1"), odd(word="@x")]
"""


@pytest.fixture
def strange(project: Project) -> Project:
    project.pipeline(STRANGE)
    assert project.run("apply").code == 0
    return project


@pytest.mark.parametrize("form", ["--json", "--csv", "--markdown", "--columns=**"])
def test_hostile_names_and_values_write_on_no_terminal(form: str, strange: Project) -> None:
    done = strange.run("metrics", form)
    assert done.code == 0, done.err
    assert all(char.isprintable() for char in done.out.replace("\n", ""))


def test_no_cell_of_csv_is_a_formula(strange: Project) -> None:
    """A spreadsheet runs what begins with =: a metric or an attribute of another person's step."""
    table = list(csv.reader(io.StringIO(strange.run("metrics", "--csv").out)))
    assert len({len(row) for row in table}) == 1
    assert len(table) == 4
    cells = [cell for row in table for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
    assert [cell for cell in cells if cell.startswith("'")]


def test_no_name_breaks_a_markdown_table(strange: Project) -> None:
    tokens = (
        MarkdownIt("gfm-like").disable("linkify").parse(strange.run("metrics", "--markdown").out)
    )
    kinds = [token.type for token in tokens]
    assert (kinds.count("table_open"), kinds.count("tr_open")) == (1, 4)
    assert kinds.count("td_open") == 3 * kinds.count("th_open")
    inline = [token for token in tokens if token.type == "inline"]
    assert {child.type for token in inline for child in token.children or ()} == {"code_inline"}


def test_a_wide_table_is_cut_honestly(project: Project) -> None:
    project.pipeline(
        "from marin_build import step\n\n@step\ndef wide(output: str, n: int) -> dict[str, int]:\n"
        "    return {f'metric{i}': i for i in range(30)}\n\n"
        "targets = [wide(n=n) for n in range(5)]\n"
    )
    assert project.run("apply").code == 0
    with on_terminal(project, "metrics", "--sort", "metric29", columns=60) as terminal:
        assert terminal.wait() == 0
        lines = terminal.text.splitlines()
    assert lines[0].split()[:2] == ["target", "n"]
    assert lines[0].split()[-1] == "metric29", "the column it is sorted by stays"
    assert "no room for metric" in terminal.text
    assert len(project.run("metrics").out.splitlines()[0].split()) == 33, "a pipe has any width"
    with on_terminal(project, "metrics", "--set", "n=1", "wide@latest", columns=60) as terminal:
        assert terminal.wait() == 0
        assert "metric29  29" in terminal.text.splitlines(), "one row is turned on its side"


def test_a_damaged_or_hostile_artifact_harms_its_own_row_alone(scores: Project) -> None:
    good, bad, deep = [row["target"] for row in rows(scores, "score")]
    (scores.root / OUTPUTS / bad / ".artifact.json").write_text('{"acc": ')
    nested = '{"a":' * 100_000
    (scores.root / OUTPUTS / deep / ".artifact.json").write_text(nested)
    done = scores.run("metrics", "--json")
    assert [row["target"] for row in done.document["rows"]] == [good]
    assert done.err.count("is not readable") == 2
    digits = '{"acc": %s}' % ("9" * 1000)
    (scores.root / OUTPUTS / bad / ".artifact.json").write_text(digits)
    assert "1.00000e+1000" in scores.run("metrics", "--sort", "acc").out


def test_records_that_name_a_circle_or_places_elsewhere_do_no_harm(scores: Project) -> None:
    for record in (scores.root / OUTPUTS).glob("*/.executor_info"):
        document = json.loads(record.read_text())
        assert is_ours(document)
        own = [document["target"], "a/../b", "x" * 300, "gs://other/bucket_12345678"]
        places = [str(record.parent), "/etc", "\0", "gs://other/bucket_12345678"]
        record.write_text(json.dumps({**document, "deps": own, "dependencies": places}))
    done = scores.run("metrics", "--all", "score", "tokens")
    assert (done.code, len(done.out.splitlines())) == (0, 7), done.err


def test_what_marin_built_is_measured_too(project: Project) -> None:
    """Its artifacts lie under another name, or in a descriptor."""
    project.pipeline(
        "from marin_build import StepSpec\n\n"
        "targets = [StepSpec(name='old', fn=print), StepSpec(name='new', fn=print)]\n"
    )
    folders = [path.rstrip() for path in project.run("path").out.splitlines()]
    descriptor = {
        "name": "new", "version": "1", "fingerprint": "f", "result_type": "T", "output_path": "p",
        "result": {"acc": 0.5, "loss": "NaN"},
    }  # fmt: skip
    for folder, name, document in zip(
        folders, (".artifact", ".artifact.json"), ({"acc": 0.25}, descriptor), strict=True
    ):
        place = project.root / folder
        project.write(f"{place}/.executor_status", "SUCCESS")
        project.write(f"{place}/{name}", json.dumps(document))
    found = {row["name"]: row["metrics"] for row in rows(project)}
    assert found == {"old": {"acc": 0.25}, "new": {"acc": 0.5, "loss": "NaN"}}


def test_a_version_that_holds_another_identity_shows_what_built_it(project: Project) -> None:
    """Numbers must not stand beside settings that did not lead to them."""
    text = SCORES.replace("@step\ndef score", '@step(version="v1")\ndef score')
    project.pipeline(
        text.replace("sizes: tuple[int, ...] = (1, 2, 3)", "sizes: tuple[int, ...] = (1,)")
    )
    assert project.run("apply").code == 0
    done = project.run("metrics", "--set", "sizes=[5]", "--columns", "tokens.size,acc", "--json")
    (row,) = done.document["rows"]
    assert (row["attributes"], row["metrics"]["acc"]) == ({"tokens.size": 1}, 0.1)
    assert "built with another identity than is declared" in done.err


class Checkout:
    """A project in a git repository."""

    def __init__(self, project: Project, temporary: Path) -> None:
        self.project = project
        temporary.mkdir()
        project.environment["TMPDIR"] = str(temporary)
        project.write(".gitignore", ".marin-build/\n__pycache__/\n")
        self.git("init", "-q", "-b", "main")

    def git(self, *args: str) -> None:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        done = self.project.execute(["git", *who, *args])
        assert done.code == 0, done.err

    def commit(self, text: str) -> None:
        self.project.pipeline(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "a change")


@pytest.fixture
def checkout(project: Project, tmp_path: Path) -> Checkout:
    made = Checkout(project, tmp_path / "temporary")
    made.commit(SCORES)
    assert project.run("apply").code == 0
    return made


def test_a_change_is_shown_with_what_it_made_of_the_numbers(checkout: Checkout) -> None:
    """This is what a review of a change asks: better or worse, and by how much?"""
    project = checkout.project
    project.pipeline(SCORES.replace("(1, 2, 3)", "(1, 2, 5)"))
    done = project.run("metrics", "--diff", "main", "score")
    assert done.code == 0, done.err
    assert "is not built" in done.err
    assert project.run("apply").code == 0
    done = project.run("metrics", "--diff", "main", "score")
    assert (done.code, done.err) == (0, "")
    lines = project.mask(done.out).splitlines()
    assert lines[:-1] == [
        "score_HASH -> score_HASH",
        "               old  new  change",
        "  tokens.size  3    5",
        "  acc          0.3  0.5  +0.2",
        "  1 number is the same",
    ]
    assert lines[-1].endswith("the working tree: 1 with numbers changed; 2 the same")


def test_ranges_of_revisions_and_runs(checkout: Checkout) -> None:
    project = checkout.project
    checkout.git("checkout", "-q", "-b", "topic")
    checkout.commit(SCORES.replace("(1, 2, 3)", "(1, 2, 5)"))
    assert project.run("apply").code == 0
    checkout.git("checkout", "-q", "main")
    checkout.commit(SCORES.replace("(1, 2, 3)", "(1, 2, 9)"))

    def pairs(words: str) -> list[tuple[str, float | None, float | None]]:
        done = project.run("metrics", "--diff", words, "--json", "score")
        assert done.code == 0, done.err
        return [
            (change["name"], change["old"], change["new"])
            for each in done.document["targets"]
            for change in each["changes"]
            if change["name"] in ("acc", "tokens.size")
        ]

    assert pairs("main...topic") == [("tokens.size", 3, 5), ("acc", 0.3, 0.5)]
    assert pairs("main..topic") == [("tokens.size", 9, 5), ("acc", None, 0.5)]
    first = json.loads(project.run("metrics", "--all", "score", "--sort", "built", "--json").out)
    run = first["rows"][0]["run"]
    assert pairs(f"{run}..topic") == [("tokens.size", 3, 5), ("acc", 0.3, 0.5)]
    for words in (["nowhere"], ["main...nowhere"], ["main", "nothing-is-called-so"]):
        done = project.run("metrics", "--diff", *words)
        assert (done.code, "nothing was compared" in done.err) == (4, True), done


def test_a_diff_in_all_its_forms(checkout: Checkout) -> None:
    project = checkout.project
    project.pipeline(SCORES.replace("bonus: float = 0.0", "bonus: float = 1.0"))
    assert project.run("apply").code == 0
    table = list(csv.DictReader(io.StringIO(project.run("metrics", "--diff", "HEAD", "--csv").out)))
    assert [(row["what"], row["kind"], row["old"], row["new"]) for row in table[:2]] == [
        ("bonus", "attribute", "0.0", "1.0"),
        ("acc", "metric", "0.1", "1.1"),
    ]
    markdown = project.run("metrics", "--diff", "HEAD", "--markdown", "--columns", "acc").out
    assert markdown.splitlines()[2] == "| `score` | `acc` | `0.1` | `1.1` | `+1` |"
    document = project.run("metrics", "--diff", "HEAD", "--json").document
    assert (document["same"], len(document["targets"])) == (3, 3)
    assert document["targets"][0]["changes"][1]["change"] == pytest.approx(1.0)


def test_a_diff_finds_outputs_at_places_of_their_own(checkout: Checkout) -> None:
    text = (
        "from marin_build import StepSpec, step\n\n"
        "def run(output):\n    return {{'acc': {acc}}}\n\n"
        "targets = [StepSpec(name=f's{{i}}', fn=run, hash_attrs={{'acc': {acc}}}, **place)\n"
        "    for i, place in enumerate([{{'output_path_prefix': 'aside'}},\n"
        "    {{'override_output_path': 'below/{acc}'}}, {{}}])]\n"
    )
    project = checkout.project
    checkout.commit(text.format(acc=1))
    assert project.run("apply").code == 0
    project.pipeline(text.format(acc=2))
    assert project.run("apply").code == 0
    document = project.run("metrics", "--diff", "HEAD", "--json").document
    numbers = [
        (each["name"], change["old"], change["new"])
        for each in document["targets"]
        for change in each["changes"]
        if change["kind"] == "metric"
    ]
    assert numbers == [("s0", 1, 2), ("s1", 1, 2), ("s2", 1, 2)]


@pytest.fixture
def server() -> Iterator[GcsServer]:
    """A bucket of its own."""
    with GcsServer(BUCKET) as made:
        yield made


def test_a_bucket_is_read_in_one_batch(project: Project, server: GcsServer) -> None:
    """A sweep of a thousand must not be a thousand round trips one after the other."""
    project.build_in_bucket(server.url, PREFIX)
    project.pipeline(SCORES.replace("(1, 2, 3)", "tuple(range(12))"))
    assert project.run("apply").code == 0
    server.forget()
    assert len(rows(project)) == 12
    assert len(server.calls) == 3 * 12, "status, record and artifact of each"
    assert max(call.beside for call in server.calls) > 6, "asked for side by side"
    server.forget()
    assert len(rows(project, "--all", "score")) == 12
    assert len(server.calls) == 3 * 12 + 3, "and one listing for each form of an id"
    project.pipeline(SCORES + BROKEN)
    assert len(rows(project, "--sort", "acc")) == 12


def test_python_gets_rows_that_pandas_takes(scores: Project) -> None:
    program = """\
from pathlib import Path
from marin_build import Project
from marin_build.errors import SpecificationError
project = Project.open()
rows = project.metrics("score", sort="-acc")
assert len({tuple(row) for row in rows}) == 1
print([(row["tokens.size"], row["acc"], row["cost"]) for row in rows], list(rows[0])[:4])
print([list(row) for row in project.metrics("score", columns=["acc", "bonus"], all=True)][0])
print(len(project.metrics(runs="latest")))
Path("pipeline.py").write_text("def f(:")
try:
    project.metrics()
except SpecificationError as error:
    print("raised")
"""
    done = scores.execute(["python", "-c", program])
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "[(3, 0.3, None), (2, 0.2, None), (1, 0.1, None)] ['target', 'name', 'run', 'built']",
        "['target', 'bonus', 'acc']",
        "3",
        "raised",
    ]
