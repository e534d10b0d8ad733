"""A file of an output, `step / "a.txt"`: what it stands for, and the paths that are refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence  # noqa: TC003 - annotations of a step are read
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build import StepSpec, command, step
from marin_build.errors import MarinBuildError, SpecificationError, StepFailedError
from marin_build.pipeline.command import Command
from marin_build.plan.difference_text import describe_difference
from marin_build.plan.payload_diff import differences, without_echoes
from marin_build.store.open_store import open_store
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

WORDS = StepSpec(name="words", override_output_path="words")


@pytest.fixture(autouse=True)
def output(tmp_path: Path) -> Iterator[Path]:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "out"))):
        folder = tmp_path / "out" / "words"
        (folder / "a b").mkdir(parents=True)
        (folder / "a b" / "train.txt").write_text("train")
        (folder / "val.txt").write_text("val")
        yield folder


@step
def read(
    output: str,
    one: Path,
    many: Sequence[str] = (),
    named: Mapping[str, Path] | None = None,
) -> list[Any]:
    return [one, list(many), named]


def test_functions_get_the_path(output: Path) -> None:
    declared = read(WORDS / "val.txt", [WORDS / "a b"], named={"t": WORDS / "a b" / "train.txt"})
    assert declared.deps == (WORDS, WORDS, WORDS)
    assert declared.fn is not None
    assert declared.fn("/out") == [
        output / "val.txt",
        [f"{output}/a b"],
        {"t": output / "a b" / "train.txt"},
    ]


def test_commands_get_the_path_as_one_word(output: Path) -> None:
    cat = command(
        "cat {one} {all}",
        name="cat",
        deps={"one": WORDS / "a b/train.txt", "all": [WORDS, WORDS / "val.txt"]},
    )
    assert isinstance(cat.fn, Command)
    assert cat.fn.argv("/o")[1] == f"one={output}/a b/train.txt"
    assert cat.fn.argv("/o")[-2:] == [str(output), f"{output}/val.txt"]
    assert cat.deps == (WORDS, WORDS, WORDS)


def test_the_path_is_identity_and_the_spelling_of_it_is_not() -> None:
    """Else a step that reads another file is reused, or one that reads the same is not."""
    same = [WORDS / "a" / "b.txt", WORDS / "a/b.txt", WORDS / PurePosixPath("./a//b.txt")]
    assert len({read(each).fingerprint for each in same}) == 1
    others: list[Any] = [WORDS / "a", WORDS / "a/b", WORDS / "b.txt", WORDS]
    assert len({read(each).fingerprint for each in [same[0], *others]}) == 5


def test_a_file_is_no_pair_of_steps() -> None:
    """Else two functions that read different things share an output."""

    def of_file(output: str, x: Path) -> None: ...
    def of_pair(output: str, x: Mapping[str, Path]) -> None: ...

    one = step(of_file, name="same")(WORDS / WORDS.target_id)
    pair: Any = {"step": WORDS, "path": WORDS}
    two = step(of_pair, name="same")(pair)
    assert one.fingerprint != two.fingerprint


def test_a_change_is_told_by_the_path_alone() -> None:
    """Else a plan repeats in `bind` what it says of the dependency, or hides the file."""
    old, new = (StepSpec(name="words", hash_attrs={"n": n}) for n in (1, 2))

    def told(before: Any, after: Any) -> list[str]:
        payloads = [json.loads(read(each).payload) for each in (before, after)]
        return [*map(describe_difference, without_echoes(differences(*payloads)))]

    assert told(old / "a.txt", old / "b.txt") == ['bind.one "a.txt" -> "b.txt"']
    assert told(old / "a.txt", new / "a.txt") == ["needs words, which changed"]


@pytest.mark.parametrize(
    "path",
    ["", ".", "/", "/etc/passwd", "..", "../x", "a/../../b", "a/..", "a\0b", "gs://b/x", b"a"],
)
def test_a_path_that_leads_elsewhere_is_refused(path: Any) -> None:
    """Else a step reads what no step has made, and nothing says when that changes."""

    class Odd(PurePosixPath):
        def __fspath__(self) -> Any:
            return path

    given: Any = Odd() if isinstance(path, bytes) else path
    with pytest.raises(SpecificationError, match=r"no file of its output: the path "):
        _ = WORDS / given
    with pytest.raises(SpecificationError, match=r"no file of its output: the path "):
        _ = WORDS / "a" / given


def test_only_paths_can_follow() -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        _ = WORDS / 3  # type: ignore[operator]


@given(st.text())
def test_every_path_is_refused_or_lies_inside(path: str) -> None:
    try:
        found = WORDS / path
    except SpecificationError:
        return
    folder = WORDS.output_path
    assert found.location.startswith(f"{folder}/")
    assert "/../" not in f"{found.location}/"


@pytest.mark.parametrize("missing", ["vall.txt", "a b/x", "val.txt/x"])
def test_a_file_that_is_not_there_is_named_with_what_is(missing: str) -> None:
    """Else a step fails deep inside a library that says `No such file`."""
    function, program = (
        read(WORDS / missing),
        command("cat {x}", name="cat", deps={"x": [WORDS / missing]}),
    )
    for declared in (function, program):
        assert declared.fn is not None
        with pytest.raises(StepFailedError) as caught:
            declared.fn("/out")
        assert str(caught.value) == (
            f"`{WORDS.target_id}` has no `{missing}`; it has `a b/train.txt`, `val.txt`"
        )


def test_a_file_in_a_bucket_is_looked_for_there() -> None:
    remote = StepSpec(name="remote", override_output_path="memory://files/remote")
    store = open_store("memory://files")
    store.put("memory://files/remote/a/b.txt", b"x")

    def take(output: str, x: str) -> str:
        return x

    for path in ("a", "a/b.txt"):
        fn = step(take)(remote / path).fn
        assert fn is not None
        assert fn("/out") == f"memory://files/remote/{path}"
    missing = step(take)(remote / "b.txt").fn
    assert missing is not None
    with pytest.raises(StepFailedError, match=r"has no `b.txt`; it has `a/b.txt`"):
        missing("/out")


def test_a_file_stands_only_where_its_path_is_wanted() -> None:
    @step
    def take(output: str, stats: dict[str, int]) -> None: ...

    file: Any = WORDS / "a.txt"
    with pytest.raises(SpecificationError, match=r"is given the file `a\.txt` of `words`"):
        take(stats=file)
    with pytest.raises(SpecificationError, match=r"the file `a\.txt` of the step `words`"):
        StepSpec(name="x", deps=[file])
    with pytest.raises(MarinBuildError, match="no attribute"):
        StepSpec(name="x", hash_attrs={"file": file})


def test_code_of_another_shell_gets_no_file_name_as_code() -> None:
    """Else a file called `$(rm -rf ~)` is run."""
    with pytest.raises(SpecificationError, match=r"the placeholder \{x\} stands in code"):
        command(["bash", "-c", "cat {x}"], name="cat", deps={"x": WORDS / "$(touch pwned)"})
