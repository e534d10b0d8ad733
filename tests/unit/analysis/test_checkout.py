"""What lies in a checkout of a commit is not asked again; what links lead to, is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.analysis import questions
from marin_build.analysis.checkout import Checkout

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a checkout with links to a folder and a file outside of it, and one inside."""
    (tmp_path / "real" / "data").mkdir(parents=True)
    (tmp_path / "real" / "rates").write_text("1")
    tree = tmp_path / "tree"
    (tree / "package").mkdir(parents=True)
    (tree / "package" / "a.py").write_text("")
    (tree / "data").symlink_to("../real/data")
    (tree / "rates").symlink_to(tmp_path / "real" / "rates")
    (tree / "inner").symlink_to("package/a.py")
    return tree


def test_what_follows_from_the_commit(tree: Path) -> None:
    checkout = Checkout(str(tree))
    for name in ("", "package", "package/a.py", "inner", "missing", "package/../inner"):
        assert checkout.has(str(tree / name)), name
    beside = f"{tree}-2/a.py"
    assert checkout.outside(beside) == beside


def test_a_link_out_of_it_is_followed(tree: Path) -> None:
    """Else data that git ignores may change, and a revision is compared as if it had not."""
    checkout, real = Checkout(str(tree)), tree.parent / "real"
    for name in ("rates", "data", "data/missing", "data/../rates"):
        expected = str((tree / name).resolve())
        assert checkout.outside(str(tree / name)) == expected
        assert expected.startswith(str(real))
    assert checkout.outside(str(tree / "rates"), follows=False) is None, "the link is linked again"


@pytest.mark.parametrize("kind", sorted(questions.ASKED))
def test_only_answers_about_paths_are_left_out(kind: str, tree: Path) -> None:
    inside, outside = str(tree / "package"), str(tree.parent / "real" / "rates")
    asked: dict[str, questions.Answer] = {inside: "1", str(tree / "rates"): "2", "HOME": "3"}
    if kind == questions.ACCESS:
        asked = {f"4 {path}": answer for path, answer in asked.items()}
    found = Checkout(str(tree)).answers_outside(kind, asked)
    values = set(found.values())
    if kind in (questions.CALLED, questions.VARIABLE, questions.VARIABLES):
        assert found == asked
    elif kind in (questions.OWN_KIND, questions.OWN_STATUS, questions.LEADS_TO):
        assert values == {"3"}
    elif kind in (questions.DISTRIBUTIONS, questions.CONTENT):
        assert "3" in values
    else:
        assert values == {"2", "3"}
        assert any(subject.endswith(outside) for subject in found)
