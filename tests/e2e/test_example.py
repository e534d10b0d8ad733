"""The bundled example, from the first plan to a changed parameter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .support import OUTPUTS, Project, copy_examples

if TYPE_CHECKING:
    from pathlib import Path

BRANCH = ("tokenizer", "tokens-0", "tokens-1", "model", "evaluation")
COMMON = ["corpus/collect", "corpus/inventory", "corpus/normalise", "corpus/split", "dedup/exact",
          "dedup/near", "dedup/signatures"]  # fmt: skip
BRANCHES = [f"vocab-{side}/{step}" for side in "ab" for step in BRANCH]
ALL = sorted([*COMMON, *BRANCHES, "report"])


@pytest.fixture
def example(tmp_path: Path) -> Project:
    """A copy of the example, as a project of its own."""
    return _copy(tmp_path)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, str]]:
    """A copy in which nothing is built, and the fingerprints of its steps."""
    project = _copy(tmp_path_factory.mktemp("planned"))
    return project, _fingerprints(project)


def _copy(tmp_path: Path) -> Project:
    root, home = tmp_path / "examples/stdlib_lm", tmp_path / "home"
    copy_examples(tmp_path)
    home.mkdir()
    (root / "marin-build.toml").touch()
    return Project(root, home)


def test_the_example_is_built_once_and_then_only_where_it_changed(example: Project) -> None:
    """Else the first thing a newcomer tries does not work, or proves nothing."""
    planned = example.run("plan", "--json").document
    assert sorted(decision["name"] for decision in planned["decisions"]) == ALL
    assert planned["summary"]["run"] == 18

    done = example.run("apply", "--json")
    assert done.code == 0, done.err
    assert sorted(done.names_of("step_succeeded")) == ALL
    report = (example.output_of("report") / "report.md").read_text()
    assert "vocab-a" in report
    assert "vocab-b" in report
    assert (example.output_of("report") / "plot.svg").read_text().startswith("<svg")

    columns = "tokenizer.vocab_size,bits_per_byte"
    table = example.run("metrics", "*/evaluation", "--columns", columns).out.splitlines()
    assert table[0].split() == ["target", "tokenizer.vocab_size", "bits_per_byte"]
    assert [row.split()[1] for row in table[1:]] == ["2000", "8000"]

    assert example.run("apply").out.startswith("nothing to do: 18 targets are reused\n")

    changed = example.run("plan", "--json", "--set", "vocab_b=4000").document["decisions"]
    rebuilt = sorted(decision["name"] for decision in changed if decision["decision"] == "run")
    assert rebuilt == sorted([*(f"vocab-b/{step}" for step in BRANCH), "report"])
    done = example.run("apply", "--json", "--set", "vocab_b=4000")
    assert done.code == 0, done.err
    assert sorted(done.names_of("step_succeeded")) == rebuilt
    # Both variants are there now.
    assert example.run("apply").out.startswith("nothing to do: 18 targets are reused\n")
    assert len(list((example.root / OUTPUTS).glob("report_*"))) == 2


def test_the_corpus_decides_how_many_shards_there_are(example: Project) -> None:
    """Else the example of steps that follow from a result does not work."""
    text = example.file("lm/split.py")
    assert "3_000_000" in text
    example.write("lm/split.py", text.replace("3_000_000", "20_000"))
    planned = example.run("plan", "--json", "--set", "shards=0").document
    assert sorted(decision["name"] for decision in planned["decisions"]) == [
        name for name in COMMON if name != "corpus/inventory"
    ]
    assert [each["name"] for each in planned["expansions"]] == ["comparison"]
    done = example.run("apply", "--json", "--set", "shards=0")
    assert done.code == 0, done.err
    built = done.names_of("step_succeeded")
    assert {"report", "vocab-a/tokens-0", "vocab-b/tokens-0"} <= set(built)
    split = json.loads((example.output_of("corpus/split") / ".artifact.json").read_text())
    shards = sum(name.startswith("vocab-a/tokens-") for name in built)
    assert shards == split["shards"] > 1
    again = example.run("apply", "--set", "shards=0").out
    assert again.startswith(f"nothing to do: {len(built)} targets are reused\n")


@pytest.mark.parametrize(
    ("setting", "rebuilt"),
    [
        ("vocab_a=1000", [*(f"vocab-a/{step}" for step in BRANCH), "report"]),
        ("order=5", ["vocab-a/model", "vocab-a/evaluation", "vocab-b/model", "vocab-b/evaluation",
                     "report"]),
        ("similarity=0.8", ["dedup/near", "corpus/split", *BRANCHES, "report"]),
        ("min_chars=300", [name for name in ALL if name not in COMMON[:2]]),
    ],
)  # fmt: skip
def test_what_the_readme_says_of_parameters_is_true(
    planned: tuple[Project, dict[str, str]], setting: str, rebuilt: list[str]
) -> None:
    """Else the README teaches people to expect rebuilds that do not come."""
    example, before = planned
    after = _fingerprints(example, "--set", setting)
    changed = {name for name in ALL if before[name] != after[name]}
    assert changed == set(rebuilt)


def _fingerprints(project: Project, *args: str) -> dict[str, str]:
    document = project.run("plan", "--json", *args).document
    return {decision["name"]: decision["fingerprint"] for decision in document["decisions"]}


def test_the_example_is_emitted_without_anything_to_complain_about(example: Project) -> None:
    """Else the scripts that the README shows are not those that people get."""
    assert example.run("plan", "-o", "saved").code == 0
    document = json.loads(example.file("saved/plan.json"))
    scripts = [name for name in document["files"] if name.startswith("steps/")]
    assert len(scripts) == 18
    again = example.run("plan", "-o", "again")
    assert again.code == 0
    assert example.tree("saved") == example.tree("again")
