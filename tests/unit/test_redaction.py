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


@pytest.mark.parametrize("name", ["GH_PAT", "SSHPASS", "SLACK_WEBHOOK_URL", "BEARER", "MYSQL_PW"])
def test_a_short_secret_is_blotted_out_where_it_stands_alone(name: str) -> None:
    """Else a password of seven letters is in every log; or every word that contains it is torn."""
    redactor = Redactor.of({name: "hunt3r"})
    assert redactor.clean_text("hunt3r a-hunt3r (hunt3r) hunt3rs xhunt3r") == (
        f"[{name}] a-[{name}] ([{name}]) hunt3rs xhunt3r"
    )
    assert redactor.begun(b"login hunt3r") == 6


@pytest.mark.parametrize("value", ["true", "no", "12", "4096", "--", "None", "", "ab", "token"])
def test_a_short_value_that_says_nothing_is_left(value: str) -> None:
    """Else every number of a log may be blotted out."""
    assert Redactor.of({"MY_TOKENS": value}) == NOTHING_SECRET


def test_names_can_be_declared() -> None:
    """Else a variable of an unknown name is in every log."""
    environ = {"ACME_LOGIN": VALUE, "PUBLIC_KEY": VALUE + "x"}
    assert Redactor.of(environ, ("ACME_*", "!PUBLIC_KEY")).clean_text(f"{VALUE} {VALUE}x") == (
        "[ACME_LOGIN] [ACME_LOGIN]x"
    )


def test_a_token_is_blotted_out_whatever_its_variable_is_called() -> None:
    token = "gh" + "p_" + "aB3" * 12
    assert NOTHING_SECRET.clean_text(f"push {token}") == "push [secret]"
    assert Redactor.of({"X": token}).clean_text(f"push {token}s") == "push [X]s"


@pytest.mark.parametrize("size", [1 << 17, 1 << 20])
def test_a_long_variable_takes_linear_time(size: int) -> None:
    """Else one of 120 kB holds up every apply for minutes, and one of 1 MB for ever."""
    for value in ("a" * size, "://a:" * (size // 5), "a:" * (size // 2)):
        redactor = Redactor.of({"A_TOKEN": value, "URL": value})
        redactor.clean(value.encode())
        redactor.begun(value.encode())
        redactor.begun(value.encode()[:-1])
