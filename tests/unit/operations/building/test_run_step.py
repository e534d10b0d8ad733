"""What `run-step` tells the engine that runs it."""

from __future__ import annotations

import pytest

from marin_build.cli.main import run
from marin_build.errors import StoreAwayError, StoreDeniedError, StoreError
from marin_build.operations.loading import loading


@pytest.mark.parametrize(
    ("error", "words", "code"),
    [
        (StoreAwayError("cannot read `gs://b/a`"), ["--once"], 75),
        (StoreDeniedError("cannot read `gs://b/a`"), ["--once"], 75),
        (StoreAwayError("cannot read `gs://b/a`"), [], 4),
        (StoreError("cannot read `gs://b/a`"), ["--once"], 4),
    ],
)
def test_a_store_that_is_away_while_it_plans_is_the_infrastructures_fault(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: StoreError,
    words: list[str],
    code: int,
) -> None:
    """Else a pod that starts during an outage is never started again."""

    def load(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(loading, "load", load)
    assert run(["run-step", "--target", "a_0badcafe", *words]) == code
    last = "exit code 75: infrastructure failed, try again\n" if code == 75 else ""
    assert capsys.readouterr().err == f"error: cannot read `gs://b/a`\n{last}"
