"""Tokens and passwords are known by their form and by what they are called, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.text.secret_shapes import (
    MASK,
    forms_in,
    is_called_secret,
    is_secret_name,
    masked,
    masked_text,
    masked_value,
    secrets_in,
    without_secret,
)

A36, A40 = "aB3" * 12, "aB3/" * 10

# Put together here, so that no scanner of repositories takes this file for a leak.
SECRETS = [
    *("gh" + kind + "_" + A36 for kind in "pousr"),
    "github_" + "pat_" + A36,
    "glp" + "at-" + "aB3-" * 6,
    "hf" + "_" + A36,
    "sk" + "-proj-" + A36,
    "sk" + "-ant-api03-" + A36,
    "sk" + "_live_" + A36,
    "AK" + "IA" + "ABCDEFGH12345678",
    "AI" + "za" + "aB3-_" * 7,
    "ya" + "29." + A36,
    "GOC" + "SPX-" + "aB3" * 9,
    "xo" + "xb-" + "123456789012-" + A36,
    "py" + "pi-" + A36,
    "npm" + "_" + A36,
    "dop" + "_v1_" + "0a" * 32,
    "S" + "G." + "aB3" * 7 + "." + "aB3" * 14,
    "ey" + "J" + A36 + ".ey" + "J" + A36 + "." + A36,
]
KEPT = [
    ("postgres://ann:", "correct-horse", "@db.example/lm"),
    ("https://:", "pw", "@host"),
    ("redis://u:", "p@ss:word", "@h:6379/0"),
    ("https://x.org/a?b=1&sig=", "aB3%2Fabcdef", "&c=2"),
    ("https://x.org/a?X-Amz-Signature=", "0a" * 32, ""),
    ("https://x.org/?access_token=", "abcdefgh", "#top"),
    ("https://hooks.slack.com/services/", "T0/B0/aB3aB3aB3", ""),
    ("https://discord.com/api/webhooks/", "123456/" + A36, ""),
    ("aws_secret_access_key = ", A40, ""),
    ("AccountKey=", A40 + "==", ";EndpointSuffix=x"),
    ("Authorization: Bearer ", "aB3.aB3-aB3_aB3aB3", ""),
    ("Authorization: Basic ", "YW5uOnB3", ""),
    ("-----BEGIN RSA PRIVATE KEY-----", "\nAAAA\nBBBB\n", "-----END"),
]
PLAIN = [
    "https://x.org:8080/a@b",
    "https://$USER:$PASS@host",
    "https://u:{password}@host",
    "https://u:***@host",
    "https://u:[DB_PASSWORD]@host",
    "https://u:<password>@host",
    "gs://bucket/a:b/c",
    "git@github.com:a/b",
    "a bearer understands everything, basically",
    "the bearer authentication was refused",
    "task-" + "a" * 40,
    "mask-" + A36,
    "3c9d0a" * 6,  # a commit
    "sha256:" + "0a" * 32,
    "tokens=1000&keys=2",
    "ghp_short hf_model sk-learn",
    "s3://b/a?versionId=abcdefgh",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_token_is_blotted_out_wherever_it_stands(secret: str) -> None:
    """Else a token under an ordinary name lies in a bucket that a whole lab can read."""
    for text in ("{}", "x={} y", '"{}"', "https://h/{}/x", "a\n{}\nb", "({})", "\ud800 {}"):
        assert masked_text(text.format(secret)) == text.format(MASK)
    assert list(forms_in(secret))
    assert secret.encode() in list(secrets_in(f"a {secret} b"))
    assert masked_text(f"x{secret}") == f"x{secret}" or "." in secret


@pytest.mark.parametrize(("before", "secret", "after"), KEPT, ids=[kept[0] for kept in KEPT])
def test_what_stands_around_a_secret_is_left(before: str, secret: str, after: str) -> None:
    """Else a person cannot tell which host refused the password."""
    text = f"see {before}{secret}{after} twice {before}{secret}{after}"
    assert masked_text(text) == f"see {before}{MASK}{after} twice {before}{MASK}{after}"


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_none_is_left(text: str) -> None:
    """Else plans and logs lose what people look for, and good pipelines are refused."""
    assert masked_text(text) == text
    assert not list(forms_in(text))


@given(st.text())
def test_what_is_blotted_out_stays_so(text: str) -> None:
    once = masked_text(text)
    assert masked_text(once) == once


@pytest.mark.parametrize(
    "part",
    ["a", "://", "://a:", "@", "ghp_", "eyJ", "eyJ.", "sk-", "-eyJ", "AKIA", "bearer ", "?sig=",
     "-----BEGIN PRIVATE KEY-----", "PRIVATE KEY-----", "-----BEGIN ", "://:@", "xox", "=", " ",
     "SecretAccessKey ", "authorization: basic ", "authorization  :  "],
)  # fmt: skip
def test_no_text_takes_more_than_linear_time(part: str) -> None:
    """Else one long line, or one long variable, holds up a run for minutes.

    A quadratic pattern needs hours here; pytest's own time limit is what fails.
    """
    text = (part * (1_000_000 // len(part))).encode()
    assert len(masked(text)) > 0


@pytest.mark.parametrize(
    "name",
    ["GH_PAT", "SSHPASS", "SLACK_WEBHOOK_URL", "DOCKER_AUTH_CONFIG", "BEARER", "MYSQL_PW", "PGPASS",
     "FTP_PASS", "GIT_CREDS", "SESSION_COOKIE", "JWT", "awsSecretAccessKey", "AZURE_ACCESSKEY"],
)  # fmt: skip
def test_secret_variables_are_known_by_name(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["SSH_AUTH_SOCK", "PATH", "PWD", "GIT_ASKPASS", "BYPASS", "COMPAT", "AUTHOR", "KEYBOARD"],
)
def test_ordinary_variables_are_known_too(name: str) -> None:
    assert not is_secret_name(name)


def test_patterns_declare_names_and_take_them_back() -> None:
    """Else a company's own names cannot be added, nor a public key be shown."""
    declared = ("ACME_*", "!ACME_REGION", "!PUBLIC_KEY")
    assert is_secret_name("acme_login", declared)
    assert not is_secret_name("ACME_REGION", declared)
    assert not is_secret_name("PUBLIC_KEY", declared)
    assert is_secret_name("HF_TOKEN", declared)


@pytest.mark.parametrize(
    ("name", "value"),
    [("token", "abcdef"), ("hf_token", "abc123"), ("password", "correct horse"[:7]),
     ("dbPassword", "hunter2"), ("api_key", "0a0a0a"), ("client_secret", "xyz"), ("pat", "aaa1")],
)  # fmt: skip
def test_an_attribute_that_is_called_a_secret_is_one(name: str, value: str) -> None:
    assert is_called_secret(name, value)
    assert without_secret(name, value) == "..."


@pytest.mark.parametrize(
    ("name", "value"),
    [("eos_token", "endoftext"), ("pad_token", "[PAD]"), ("token", "<s>"), ("tokens", "1000"),
     ("max_tokens", "auto"), ("key", "text"), ("sort_key", "name"), ("tokenizer", "gpt2"),
     ("password", ""), ("token", "env:HF_TOKEN"), ("token", "none"), ("secret", "$NAME"),
     ("tokens_per_batch", "many"), ("path", "a/b"), ("token", "12")],
)  # fmt: skip
def test_what_language_models_call_tokens_is_none(name: str, value: str) -> None:
    """Else half of all pipelines are refused."""
    assert not is_called_secret(name, value)
    assert without_secret(name, value) == value


def test_a_value_is_shown_without_what_its_names_call_a_secret() -> None:
    """Else records and reasons show the passwords of which plans warn."""
    token = "hf_" + 30 * "a"
    shown = masked_value(
        {"db": {"passwords": ["hunter2"], "eos_token": "</s>", token: "x"}, "n": 3}
    )
    assert shown == {"db": {"passwords": [MASK], "eos_token": "</s>", MASK: "x"}, "n": 3}
