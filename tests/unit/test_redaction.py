"""Secrets are blotted out, and nothing else is."""

from __future__ import annotations

import pytest

from marin_build.redaction import NOTHING_SECRET, Redactor

VALUE = "s3cr3t-v4lu3"


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PGPASSWORD",
        "MYSQL_PWD", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_SAS_TOKEN", "SENTRY_DSN",
        "github_token", "DB_PASSPHRASE", "OPENAI_APIKEY", "GOOGLE_CREDENTIALS", "my-secret",
    ],
)  # fmt: skip
def test_what_is_called_a_secret_is_one(name: str) -> None:
    """Else a token lies in a bucket that a whole lab can read."""
    clean = Redactor.of({name: VALUE}).clean_text(f"login with {VALUE}, twice {VALUE}!")
    assert clean == f"login with [{name}], twice [{name}]!"


@pytest.mark.parametrize(
    "name",
    ["PATH", "PWD", "OLDPWD", "TOKENIZERS_PARALLELISM", "TOKENIZER", "KEYBOARD", "MONKEY", "HOME"],
)
def test_what_only_sounds_like_one_is_none(name: str) -> None:
    """Else logs lose the paths people look for."""
    assert Redactor.of({name: VALUE}) == NOTHING_SECRET


def test_a_word_is_no_secret() -> None:
    """Else `DEBUG_TOKEN=true` blots every `true` out of a log."""
    assert Redactor.of({"DEBUG_TOKEN": "true", "EMPTY_KEY": ""}) == NOTHING_SECRET


def test_the_password_in_a_url_is_secret_and_the_rest_is_not() -> None:
    """Else a proxy's or a database's password is in every log of a failed connection."""
    url = "postgres://ann:correct-horse@db.example/lm"
    redactor = Redactor.of({"DATABASE_URL": url})
    assert redactor.clean_text(f"cannot reach {url}") == (
        "cannot reach postgres://ann:[DATABASE_URL]@db.example/lm"
    )


def test_each_line_of_a_private_key_is_secret() -> None:
    """Else a key that is printed with indentation is there, line by line."""
    key = "-----BEGIN-----\nAAAABBBBCCCC\nDDDDEEEEFFFF\n--"
    clean = Redactor.of({"SSH_KEY": key}).clean_text("  AAAABBBBCCCC\n  DDDDEEEEFFFF\n  --")
    assert clean == "  [SSH_KEY]\n  [SSH_KEY]\n  --"


def test_a_longer_secret_wins_over_its_beginning() -> None:
    """Else the rest of it stays."""
    redactor = Redactor.of({"A_TOKEN": VALUE, "B_TOKEN": VALUE + "-more"})
    assert redactor.clean_text(f"{VALUE}-more {VALUE}") == "[B_TOKEN] [A_TOKEN]"


def test_secrets_of_a_step_join_those_of_the_run() -> None:
    """Else what a step's env_vars hold is printed in its log."""
    both = Redactor.of({"A_TOKEN": VALUE}).joined(Redactor.of({"B_TOKEN": "another-one"}))
    assert both.clean(b"another-one s3cr3t-v4lu3") == b"[B_TOKEN] [A_TOKEN]"


def test_the_beginning_of_a_secret_is_seen() -> None:
    """Else one that comes in two pieces is written in two pieces."""
    redactor = Redactor.of({"A_TOKEN": VALUE})
    assert redactor.begun(b"login with s3cr3t") == 6
    assert redactor.begun(b"login with s") == 1
    assert redactor.begun(b"login with " + VALUE.encode()) == 0
    assert redactor.begun(b"login") == 0


def test_text_that_is_not_utf_8_survives() -> None:
    """Else a message with a stray surrogate ends the run."""
    assert Redactor.of({"A_TOKEN": VALUE}).clean_text(f"\udcff {VALUE}") == "\udcff [A_TOKEN]"
