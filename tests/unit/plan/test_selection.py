"""Selectors decide what is built and what is forced: the wrong target costs hours."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build import StepSpec
from marin_build.errors import SpecificationErrors, UsageError
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.targets import make_targets
from marin_build.plan.selection import select, steps_meant, steps_needed
from marin_build.plan.selector_grammar import parse_selector
from marin_build.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.pipeline.targets import Targets
    from marin_build.protocol.status import Status


@pytest.fixture
def targets(make: Callable[..., Targets]) -> Targets:
    raw = StepSpec(name="raw", tags=["cheap"])
    tokens = StepSpec(name="data/tokens", deps=[raw], tags=["cheap"])
    small = StepSpec(name="train/small", deps=[tokens], hash_attrs={"n": 1})
    large = StepSpec(name="train/large", deps=[tokens])
    again = StepSpec(name="train/small", deps=[tokens], hash_attrs={"n": 2})
    evals = StepSpec(name="eval", deps=[small], version="v1", tags=["eval"])
    return make(evals, large, again)


def test_what_a_name_or_an_id_selects_is_found_without_fingerprints(targets: Targets) -> None:
    """Else `explain` could leave out one of the targets that a name stands for."""
    steps = [target.step for target in targets.all]
    for target in targets.all:
        for word in (target.id, target.name):
            selected = {targets.all[i].step for i in select(targets, [word])}
            assert selected <= set(steps_meant(steps, word))
        assert steps_meant(steps, target.step.hash_id) == []
        assert steps_meant(steps, target.fingerprint) == []
    assert steps_meant(steps, "data/*") == []
    assert {step.name for step in steps_meant(steps, "train/small")} == {"train/small"}


def _names(targets: Targets, *selectors: str) -> list[str]:
    return [targets.all[i].name for i in select(targets, selectors)]


@pytest.mark.parametrize(
    ("selectors", "names"),
    [
        (["raw"], ["raw"]),
        (["train/small"], ["train/small", "train/small"]),
        (["train/*"], ["train/small", "train/large", "train/small"]),
        (["*"], ["raw", "eval"]),
        (["**"], ["raw", "data/tokens", "train/small", "eval", "train/large", "train/small"]),
        (["tag:cheap"], ["raw", "data/tokens"]),
        (["+data/tokens"], ["raw", "data/tokens"]),
        (["eval", "raw", "raw"], ["raw", "eval"]),
        (["eval@v1"], ["eval"]),
        (["data/tokens+"], ["data/tokens", "train/small", "eval", "train/large", "train/small"]),
        (["+train/large+"], ["raw", "data/tokens", "train/large"]),
        (["tag:cheap+"], ["raw", "data/tokens", "train/small", "eval", "train/large",
                          "train/small"]),
        (["+tag:eval"], ["raw", "data/tokens", "train/small", "eval"]),
        (["[dr]*/*"], ["data/tokens"]),
        (["raw,eval"], ["raw", "eval"]),
        (["raw , eval"], ["raw", "eval"]),
        (["tag:cheap,^raw"], ["data/tokens"]),
        (["^raw,tag:cheap"], ["data/tokens"]),
        (["tag:cheap", "^raw"], ["data/tokens"]),
        (["^train/*"], ["raw", "data/tokens", "eval"]),
        (["+eval&train/*"], ["train/small"]),
        (["**&^tag:cheap&^train/*"], ["eval"]),
        (["raw,+eval&tag:cheap"], ["raw", "data/tokens"]),
        (["+eval,^+train/small"], ["eval"]),
        (["^train/small+"], ["raw", "data/tokens", "train/large"]),
        (["train/[l,&^s]*,^train/small"], ["train/large"]),
    ],
    ids=str,
)  # fmt: skip
def test_what_a_selector_selects(targets: Targets, selectors: list[str], names: list[str]) -> None:
    assert _names(targets, *selectors) == names


def test_without_selectors_it_is_what_the_pipeline_offers(targets: Targets) -> None:
    assert select(targets, []) == targets.requested


@pytest.mark.parametrize("part", ["id", "hash"])
def test_a_target_is_known_by_its_id_and_by_its_hash(targets: Targets, part: str) -> None:
    """Of two steps of one name, one can be named alone."""
    index = next(i for i, t in enumerate(targets.all) if t.name == "train/small")
    target = targets.all[index]
    selector = target.id if part == "id" else target.fingerprint[:8]
    assert select(targets, [selector]) == (index,)


def test_selectors_that_select_nothing_are_refused_together_with_hints(targets: Targets) -> None:
    with pytest.raises(SpecificationErrors) as caught:
        select(targets, ["rwa", "raw", "tag:evl", "zzz", "none/*"])
    shown = caught.value.render()
    for part in ("no step is called `rwa`", "did you mean `raw`?", "no step has the tag `evl`",
                 "the tags are cheap, eval", "`zzz`", "`none/*`"):  # fmt: skip
        assert part in shown


@pytest.mark.parametrize(
    "selector",
    ["", "+", "tag:", "[z-a]", "[!]", "++raw", "^", "^^raw", "+^raw", "raw,", ",raw", "raw&", "&",
     "raw,,eval", "changed-since:", "status:", "status:done", "tga:eval", ":", "raw+&", "(raw)"],
)  # fmt: skip
def test_a_malformed_selector_is_an_error_of_ours(targets: Targets, selector: str) -> None:
    with pytest.raises(UsageError):
        select(targets, [selector])


def test_a_pipeline_without_tags_says_so(make: Callable[..., Any]) -> None:
    with pytest.raises(UsageError) as caught:
        select(make(StepSpec(name="a")), ["tag:x"])
    assert caught.value.hint == "no step has a tag"


@pytest.mark.parametrize(
    ("selector", "shown"),
    [
        (
            "raw,,eval",
            (
                "error: cannot read the selector `raw,,eval`: a name or glob is missing here\n"
                "  column 5: raw,,eval\n"
                "                ^\n"
                "  nothing was run\n"
                "hint: marin-build plan --help"
            ),
        ),
        (
            "raw,&",
            (
                "error: cannot read the selector `raw,&`: a name or glob is missing here\n"
                "  column 5: raw,&\n"
                "                ^\n"
                "  nothing was run\n"
                "hint: marin-build plan --help"
            ),
        ),
        (
            "raw,stauts:failed",
            (
                "error: cannot read the selector `raw,stauts:failed`: `stauts:` is unknown\n"
                "  column 5: raw,stauts:failed\n"
                "                ^\n"
                "  nothing was run\n"
                "hint: did you mean `status:` or `tag:`?"
            ),
        ),
        (
            "+status:faild",
            (
                "error: cannot read the selector `+status:faild`: `faild` is no status\n"
                "  column 9: +status:faild\n"
                "                    ^\n"
                "  nothing was run\n"
                "hint: did you mean `failed`?"
            ),
        ),
        (
            "raw&tag:eval",
            (
                "error: `raw&tag:eval` selects nothing: no target is in all of its terms\n"
                "  raw:      1 target\n"
                "  tag:eval: 1 target\n"
                "  nothing was run"
            ),
        ),
        (
            "raw,^+eval",
            "error: `raw,^+eval` selects nothing: `^` leaves all of it out\n  nothing was run",
        ),
    ],
)
def test_an_error_says_where_it_is(targets: Targets, selector: str, shown: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(targets, [selector])
    assert caught.value.render() == shown


def test_a_near_tag_is_offered(targets: Targets) -> None:
    with pytest.raises(UsageError) as caught:
        select(targets, ["tag:chep"])
    assert caught.value.hint == "did you mean `cheap`? the tags are cheap, eval"


_STATUSES: tuple[Status | None, ...] = (
    "SUCCESS", "FAILED", "RUNNING", "DEP_FAILED", None, None,
)  # fmt: skip


@pytest.mark.parametrize(
    ("selector", "indices"),
    [
        ("status:success", (0,)),
        ("status:failed", (1, 3)),
        ("status:running", (2,)),
        ("status:missing", (4, 5)),
        ("status:failed,^tag:cheap", (3,)),
        ("tag:eval&status:success", ()),
        ("status:success,^raw", ()),
        ("status:missing&train/small", (5,)),
        ("changed-since:main~1", (2, 5)),
        ("changed-since:HEAD^", ()),
        ("changed-since:main~1&status:running", (2,)),
    ],
)
def test_what_the_store_and_git_know(
    targets: Targets, selector: str, indices: tuple[int, ...]
) -> None:
    """That nothing failed, or nothing changed, is an answer and no mistake."""
    changed = {"main~1": {2, 5}, "HEAD^": set[int]()}
    found = select(
        targets, [selector], status_of=_STATUSES.__getitem__, changed_since=changed.__getitem__
    )
    assert found == indices


@pytest.mark.parametrize("selector", ["status:failed", "changed-since:main"])
def test_what_a_command_does_not_read_it_refuses(targets: Targets, selector: str) -> None:
    with pytest.raises(UsageError, match="cannot be answered here"):
        select(targets, [selector])


def test_statuses_are_not_read_unless_asked_for(targets: Targets) -> None:
    def fail(_: object) -> Any:
        raise AssertionError

    assert select(targets, ["raw"], status_of=fail, changed_since=fail) == (0,)
    assert select(targets, [], status_of=fail, changed_since=fail) == targets.requested


_SIZE = 6
_ATOMS = ("s0", "s1", "s3", "s[0-2]", "*", "tag:even", "status:failed", "changed-since:x")


@st.composite
def _terms(draw: st.DrawFn) -> str:
    before = draw(st.sampled_from(["", "", "^"])) + draw(st.sampled_from(["", "", "+"]))
    return before + draw(st.sampled_from(_ATOMS)) + draw(st.sampled_from(["", "", "+"]))


@given(
    st.lists(st.lists(st.lists(_terms(), min_size=1, max_size=3), min_size=1, max_size=3),
             min_size=1, max_size=3),
    st.lists(st.sets(st.integers(0, 5), max_size=2), min_size=_SIZE, max_size=_SIZE),
    st.sets(st.integers(0, _SIZE - 1)),
    st.sets(st.integers(0, _SIZE - 1)),
)  # fmt: skip
def test_selection_is_a_calculation_with_sets(
    arguments: list[list[list[str]]],
    needs: list[set[int]],
    failed: set[int],
    changed: set[int],
) -> None:
    """The model: closures by repetition, complements, and nothing clever."""
    steps: list[StepSpec] = []
    deps = [sorted(j for j in need if j < i) for i, need in enumerate(needs)]
    for i, before in enumerate(deps):
        tags = ["even"] if i % 2 == 0 else []
        steps.append(StepSpec(name=f"s{i}", deps=[steps[j] for j in before], tags=tags))
    workspace = Workspace("/project", "/project/outputs")
    targets = make_targets(build_graph(steps), workspace)
    number = {target.name: int(target.name[1:]) for target in targets.all}
    everything = set(range(_SIZE))

    def closure(found: set[int], edges: Callable[[int], set[int]]) -> set[int]:
        for _ in everything:
            found = found.union(*(edges(i) for i in found))
        return found

    def value(term: str) -> set[int]:
        core = term.lstrip("^").strip("+")
        atoms = {
            "s[0-2]": {0, 1, 2}, "*": everything, "tag:even": {0, 2, 4},
            "status:failed": failed, "changed-since:x": changed,
        }  # fmt: skip
        atom = atoms[core] if core in atoms else {int(core[1:])}
        found = set(atom)
        if term.lstrip("^").startswith("+"):
            found |= closure(atom, lambda i: set(deps[i]))
        if term.endswith("+"):
            found |= closure(atom, lambda i: {j for j in everything if i in deps[j]})
        return everything - found if term.startswith("^") else found

    parts = [part for argument in arguments for part in argument]
    positive = [p for p in parts if len(p) > 1 or not p[0].startswith("^")]
    sets = [set.intersection(*map(value, part)) for part in positive]
    model = set().union(*sets) if positive else set(everything)
    for part in parts:
        if part not in positive:
            model &= value(part[0])

    def asks(part: list[str]) -> bool:
        return any("status:" in term or "since:" in term for term in part)

    mistake = any(not found and not asks(p) for p, found in zip(positive, sets, strict=True))
    mistake |= not model and not any(map(asks, parts))
    texts = [",".join("&".join(part) for part in argument) for argument in arguments]

    def run() -> set[int]:
        chosen = select(
            targets,
            texts,
            status_of=lambda i: "FAILED" if number[targets.all[i].name] in failed else None,
            changed_since=lambda _: {
                i for i, target in enumerate(targets.all) if number[target.name] in changed
            },
        )
        return {number[targets.all[i].name] for i in chosen}

    if mistake:
        with pytest.raises((UsageError, SpecificationErrors)):
            run()
    else:
        assert run() == model


@given(st.lists(st.lists(_terms(), min_size=1, max_size=3), min_size=1, max_size=3))
def test_a_selector_is_read_as_it_is_written(parts: list[list[str]]) -> None:
    text = ",".join("&".join(part) for part in parts)
    assert [[str(term) for term in part] for part in parse_selector(text)] == parts


@given(st.text("ab*[]^+&,: \t", max_size=12))
def test_no_text_is_a_bug(text: str) -> None:
    with suppress(UsageError):
        assert all(term.value for part in parse_selector(text) for term in part)


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        (["a"], ["a"]),
        (["+a"], ["a"]),
        (["a,b"], ["a", "b"]),
        (["a", "c/*"], ["a", "c/x", "c/y"]),
        (["**"], ["a", "b", "c/x", "c/y"]),
        (["a_0badcafe"], ["a"]),
        (["a@v1"], ["a"]),
        (["tag:t"], ["b"]),
        (["c/*&tag:t"], ["b", "c/x", "c/y"]),  # more than is needed, never less
        (["a+"], None),
        (["^a"], None),
        (["a,^b"], None),
        (["status:failed"], None),
        (["changed-since:main"], None),
        (["0badcafe"], None),
        (["nobody"], None),
        (["a", "nobody"], None),
        (["tag:nobody"], None),
        (["a&"], None),
    ],
)
def test_what_is_needed_is_known_before_any_identity(
    selectors: list[str], expected: list[str] | None
) -> None:
    """Remote inputs of other targets are not read; but what may be meant is never left out."""
    steps = [StepSpec(name=name, tags=["t"] * (name == "b")) for name in ("a", "b", "c/x", "c/y")]
    found = steps_needed(steps, selectors)
    assert (found if found is None else sorted(step.name for step in found)) == expected


@pytest.mark.parametrize(
    ("selector", "meant"),
    [
        ("sweep/*", "`sweep/**` selects 2 steps"),
        ("sweep/*/train", "`sweep/**/train` selects 2 steps"),
        ("sweep*", "`sweep**` selects 2 steps"),
        ("*train", "`**train` selects 2 steps"),
        ("sweep", "`sweep/**` selects 2 steps"),
        ("sweep/", "`sweep/**` selects 2 steps"),
        ("/sweep/lr/0.1", "`sweep/lr/0.1/**` selects 1 step"),
        ("train", "`**/train` selects 2 steps"),
        ("raw_*", "`raw` selects 1 step"),
        ("RAW", "did you mean `raw`?"),
        ("Sweep/LR/0.1/Train", "did you mean `sweep/lr/0.1/train`"),
    ],
)
def test_a_pattern_of_another_program_is_answered_with_the_one_meant(
    make: Callable[..., Targets], selector: str, meant: str
) -> None:
    """Else a user who knows globs from a shell is only told that there is no such step."""
    raw = StepSpec(name="raw")
    sweep = [StepSpec(name=f"sweep/lr/{lr}/train", deps=[raw]) for lr in (0.1, 0.2)]
    with pytest.raises(UsageError) as caught:
        select(make(*sweep), [selector])
    assert (caught.value.hint or "").startswith(meant)


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("sweep/3e+18", ["sweep/3e+18"]),
        ("+sweep/3e+18", ["code/c++", "sweep/3e+18"]),
        ("code/c++", ["code/c++"]),
        ("code/c+++", ["code/c++", "sweep/3e+18"]),
        ("^code/c++", ["sweep/3e+18"]),
    ],
)
def test_a_plus_in_a_name_is_a_part_of_it(
    make: Callable[..., Targets], selector: str, names: list[str]
) -> None:
    """Steps are called after languages, and after budgets of compute."""
    code = StepSpec(name="code/c++")
    assert _names(make(StepSpec(name="sweep/3e+18", deps=[code])), selector) == names
