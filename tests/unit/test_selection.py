"""Selectors decide what is built and what is forced: the wrong target costs hours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec
from marin_build.errors import SpecificationErrors, UsageError
from marin_build.selection import select

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.fingerprint import Targets


@pytest.fixture
def targets(make: Callable[..., Targets]) -> Targets:
    raw = StepSpec(name="raw", tags=["cheap"])
    tokens = StepSpec(name="data/tokens", deps=[raw], tags=["cheap"])
    small = StepSpec(name="train/small", deps=[tokens], hash_attrs={"n": 1})
    large = StepSpec(name="train/large", deps=[tokens])
    again = StepSpec(name="train/small", deps=[tokens], hash_attrs={"n": 2})
    evals = StepSpec(name="eval", deps=[small], version="v1", tags=["eval"])
    return make(evals, large, again)


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


@pytest.mark.parametrize("selector", ["", "+", "tag:", "[z-a]", "[!]", "++raw"])
def test_a_malformed_selector_is_an_error_of_ours(targets: Targets, selector: str) -> None:
    with pytest.raises(UsageError):
        select(targets, [selector])


def test_a_pipeline_without_tags_says_so(make: Callable[..., Any]) -> None:
    with pytest.raises(UsageError) as caught:
        select(make(StepSpec(name="a")), ["tag:x"])
    assert caught.value.hint == "no step has a tag"
