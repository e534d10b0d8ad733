"""The other rules about steps, each with what it must not find."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec, command, source, step
from marin_build.pipeline.lint.findings import KINDS, WHY, Finding, merged
from marin_build.pipeline.lint.rules import check_steps
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> Iterator[Workspace]:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "raw.txt").touch()
    (tmp_path / "big.bin").touch()
    workspace = Workspace(str(folder), str(folder / "out"))
    with in_workspace(workspace):
        yield workspace


@step
def reads(output: Path, x: Any) -> Any:
    return x


@step
def reads_files(output: Path, x: list[Path]) -> int:
    return len(x)


def found(a_step: StepSpec, project: Workspace) -> list[tuple[str, str]]:
    return [(each.kind, each.what) for each in check_steps([a_step], project)]


def test_an_output_without_a_type_is_found(project: Workspace) -> None:
    def untyped(output, x: int) -> int:  # type: ignore[no-untyped-def]
        return x

    what = "the function has no type for `output`, which is a `str` then"
    assert found(step(untyped)(x=1), project) == [("untyped-output", what)]
    assert found(reads(1), project) == []


def test_a_file_of_the_project_is_found_with_its_way_out(project: Workspace) -> None:
    (one,) = check_steps([reads("raw.txt")], project)
    assert (one.kind, one.what) == (
        "undeclared-file",
        'has the attribute `x="raw.txt"`, a file that is not a declared input',
    )
    assert one.way_out is not None
    assert one.way_out.startswith("give `source(")
    (two,) = check_steps([command("cat raw.txt > {output}/x", name="c")], project)
    assert (two.kind, two.what) == (
        "undeclared-file",
        "runs `raw.txt`, which is not a declared input",
    )
    assert two.way_out is not None


@pytest.mark.parametrize(
    "text", ["gs://bucket/raw", "s3://bucket/a/b.txt", "gs://bucket/a b\n\x1b[31m"]
)
def test_an_object_in_a_bucket_is_found(text: str, project: Workspace) -> None:
    """Else the data changes, and a model of yesterday's is reused."""
    ((kind, what),) = found(reads(text), project)
    assert kind == "outside-path"
    assert what.isprintable()
    assert [k for k, _ in found(reads({"a": [text]}), project)] == ["outside-path"]


def test_a_file_elsewhere_on_this_disk_is_found(project: Workspace) -> None:
    outside = f"{Path(project.project).parent}/big.bin"
    assert [kind for kind, _ in found(reads(outside), project)] == ["outside-path"]
    assert found(reads(f"{outside}-not-there"), project) == []


@pytest.mark.parametrize(
    "text",
    [
        "org/model", "/v1/chat", "/", "/tmp", "https://api.example/v1", "wandb://a/b", "gs://bucket",
        "", "gs://", "a\0b", "/a\0b/c", "x" * 10_000, "~/x",
    ],
)  # fmt: skip
def test_other_texts_are_no_paths(text: str, project: Workspace) -> None:
    """Names of models and routes of servers are attributes, and not data."""
    assert found(reads(text), project) == []


def test_a_secret_in_a_place_is_not_shown(project: Workspace) -> None:
    @step
    def logs_in(output: Path, api_token: str) -> str:
        return api_token

    ((_, what),) = found(logs_in("gs://bucket/hunter2hunter2"), project)
    assert "hunter2" not in what


def test_a_declared_input_is_no_finding(project: Workspace) -> None:
    raw = source(f"{project.project}/raw.txt")
    assert found(command("cat {x} > {output}/x", name="c", inputs={"x": raw}), project) == []
    assert found(reads_files([raw, raw]), project) == []


def test_code_that_is_identity_must_be_seen(project: Workspace) -> None:
    """Else `rebuild` is a promise that does not hold."""
    made: Any = eval("lambda output: 1")
    made.__annotations__["output"] = Path
    kinds = [kind for kind, _ in found(StepSpec(name="s", fn=made, code="rebuild"), project)]
    assert kinds == ["unseen-code"]
    assert found(StepSpec(name="s", fn=made), project) == []
    a_step = step(code="rebuild")(reads.code_function)(1)
    assert found(a_step, project) == []


def finding(name: str, line: int = 1, what: str = "is odd") -> Finding:
    return Finding("unused-dep", (name,), ("p.py", line), what, None)


def test_equal_findings_of_a_sweep_are_one() -> None:
    """A thousand lines about one mistake hide the second one."""
    (one,) = merged([finding("a"), finding("b"), finding("c"), finding("d"), finding("a")])
    assert one.steps == ("a", "b", "c", "d")
    assert one.subject == "`a`, `b`, `c` and 1 more"
    assert len(merged([finding("a"), finding("b", line=2), finding("a", what="is old")])) == 3


def test_findings_come_by_place() -> None:
    lines = [each.place[1] for each in merged([finding("a", 9), finding("b", 2)])]
    assert lines == [2, 9]


def test_each_kind_says_why_it_matters() -> None:
    assert set(WHY) == set(KINDS)
