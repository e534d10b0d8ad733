"""What a secret looks like: names that stand for one, forms of tokens and passwords. Pure.

Every scan is linear in the length of the text: a form begins with fixed characters that a form does
not contain twice, or is of bounded length.
"""

from __future__ import annotations

import fnmatch
import functools
import re
from typing import TYPE_CHECKING, Any

from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


MASK = "[secret]"

_PASSWORDS = frozenset(
    {"PASSWORD", "PASSWORDS", "PASSWD", "PASSPHRASE", "PASS", "PWD", "PW", "PIN"}
)
_WORDS = _PASSWORDS | {
    "TOKEN", "TOKENS", "SECRET", "SECRETS", "CREDENTIAL", "CREDENTIALS", "CREDS", "CRED", "KEY",
    "KEYS", "APIKEY", "SAS", "DSN", "COOKIE", "COOKIES", "AUTHORIZATION", "AUTH", "BEARER", "PAT",
    "WEBHOOK", "WEBHOOKS", "JWT", "OTP", "NETRC", "KUBECONFIG", "SIGNATURE",
}  # fmt: skip
_ENDINGS = (
    "PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "APIKEY", "TOKEN", "CREDENTIALS", "WEBHOOK",
    "ACCESSKEY", "SECRETKEY", "PRIVATEKEY", "AUTHKEY", "SSHPASS", "DBPASS", "PGPASS",
)  # fmt: skip
_NOT_SECRET = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK"})
"""Names that programs use for places."""


def is_secret_name(name: str, declared: Sequence[str] = ()) -> bool:
    """Return whether an environment variable is called like a secret.

    Args:
        name: of the variable.
        declared: patterns of further names, as `GH_*`; `!PUBLIC_KEY` says that one is none. The
            last one that fits decides.

    """
    for pattern in reversed(declared):
        if fnmatch.fnmatchcase(name.upper(), pattern.removeprefix("!").upper()):
            return not pattern.startswith("!")
    upper = name.upper()
    if upper in _NOT_SECRET:
        return False
    words = upper.replace("-", "_").split("_")
    is_word = any(word in _WORDS or word.endswith(_ENDINGS) for word in words)
    return is_word or upper.endswith("CONNECTION_STRING")


_CALLED_SO = _PASSWORDS - {"PIN", "PASS"} | {
    "TOKEN", "SECRET", "CREDENTIAL", "CREDENTIALS", "APIKEY", "JWT", "PAT", "BEARER",
}  # fmt: skip
_KEYS = frozenset({"API", "ACCESS", "SECRET", "PRIVATE", "AUTH", "SSH", "SIGNING", "ENCRYPTION"})
_OF_TEXT = frozenset({
    "BOS", "EOS", "PAD", "UNK", "MASK", "SEP", "CLS", "BEGIN", "END", "START", "STOP", "SPECIAL",
    "NEXT", "FIRST", "LAST", "IMAGE", "AUDIO", "PROMPT", "PER", "BY", "NEWLINE", "SPACE", "EOT",
})  # fmt: skip
"""What tokens of texts are called: `eos_token` is none that lets a person in."""
_NO_VALUE = re.compile(
    r"[<\[{$|\s]|^$|^[0-9.+-]*$|^(true|false|none|null|env:.*|file:.*)$", re.IGNORECASE
)


def is_called_secret(name: str, value: str) -> bool:
    """Return whether an attribute or a parameter, by its name, holds a secret as its value.

    Stricter than for environment variables: pipelines of language models are full of `tokens`,
    `eos_token` and `key`.
    """
    return _names_secret(name[:200]) and not _NO_VALUE.search(value)


@functools.lru_cache(maxsize=1024)  # the steps of a pipeline mostly share their names
def _names_secret(name: str) -> bool:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    words = re.split(r"[_\-.:\s]+", spaced.upper())
    if "KEY" in words:
        return not _KEYS.isdisjoint(words)
    return not _CALLED_SO.isdisjoint(words) and _OF_TEXT.isdisjoint(words)


@dataclass(frozen=True, slots=True)
class _Form:
    """A form of secrets.

    Args:
        name: for people.
        signs: one of these is in every text that has the form; to look for them is quick.
        expression: group 1, where there is one, stays; the rest is the secret.

    """

    name: str
    signs: tuple[bytes, ...]
    expression: bytes

    @property
    def pattern(self) -> re.Pattern[bytes]:
        """The expression, compiled when a text has one of the signs: few programs need any."""
        return re.compile(self.expression)  # which `re` keeps


def _form(name: str, signs: str, expression: str) -> _Form:
    return _Form(name, tuple(signs.encode().split()), expression.encode())


_AT_START = r"(?<![A-Za-z0-9_-])"
_URL_WORDS = (
    r"sig|signature|x-amz-signature|x-amz-security-token|x-amz-credential|x-goog-signature|"
    r"token|access_token|auth_token|api_key|apikey|password|passwd|secret|client_secret"
)
_FORMS = (
    _form("a token of GitHub", "ghp_ gho_ ghu_ ghs_ ghr_",
          _AT_START + r"gh[pousr]_[A-Za-z0-9]{20,255}"),
    _form("a token of GitHub", "github_pat_", _AT_START + r"github_pat_[A-Za-z0-9_]{20,255}"),
    _form("a token of GitLab", "glpat-", _AT_START + r"glpat-[A-Za-z0-9_.-]{16,255}"),
    _form("a token of Hugging Face", "hf_", _AT_START + r"hf_[A-Za-z0-9]{20,255}"),
    _form("an API key", "sk-", _AT_START + r"sk-[A-Za-z0-9_-]{20,255}"),
    _form("an API key", "sk_live_ sk_test_ rk_live_ rk_test_",
          _AT_START + r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}"),
    _form("an access key of AWS", "AKIA ASIA",
          _AT_START + r"A(?:KIA|SIA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _form("a secret key of AWS", "cret_access_key CRET_ACCESS_KEY ecretAccessKey",
          r"([Ss](?:ecret_access_key|ECRET_ACCESS_KEY|ecretAccessKey)[\"'\s:=]{1,8})"
          r"[A-Za-z0-9/+]{40}"),
    _form("an API key of Google", "AIza", _AT_START + r"AIza[0-9A-Za-z_-]{35}"),
    _form("a token of Google", "ya29.", _AT_START + r"ya29\.[0-9A-Za-z_.-]{20,2048}"),
    _form("a client secret of Google", "GOCSPX-", _AT_START + r"GOCSPX-[0-9A-Za-z_-]{20,64}"),
    _form("a token of Slack", "xox", _AT_START + r"xox[abeoprs]-[A-Za-z0-9-]{10,255}"),
    _form("a webhook of Slack", "hooks.slack.com/",
          r"(hooks\.slack\.com/(?:services|workflows|triggers)/)[A-Za-z0-9_/-]{8,255}"),
    _form("a webhook of Discord", "/api/webhooks/",
          r"(/api/webhooks/)[0-9]{5,30}/[A-Za-z0-9_-]{20,255}"),
    _form("a token of PyPI", "pypi-", _AT_START + r"pypi-[A-Za-z0-9_-]{32,1024}"),
    _form("a token of npm", "npm_", _AT_START + r"npm_[A-Za-z0-9]{30,64}"),
    _form("a token of DigitalOcean", "dop_v1_", _AT_START + r"dop_v1_[a-f0-9]{64}"),
    _form("an API key of SendGrid", "SG.",
          _AT_START + r"SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,128}"),
    _form("a JSON web token", "eyJ",
          _AT_START + r"eyJ[A-Za-z0-9_-]{8,4096}\.eyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,4096}"),
    _form("a private key", "PRIVATE KEY-----",
          r"(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----)[A-Za-z0-9+/=\s\\]{8,}"),
    _form("a key of Azure storage", "AccountKey= SharedAccessSignature=",
          r"((?:AccountKey|SharedAccessSignature)=)[^;\s\"'<>]{16,4096}"),
    _form("a bearer token", "earer EARER",
          r"((?:[Bb]earer|BEARER) +)(?![a-z]+\b)[A-Za-z0-9._~+/=-]{16,4096}"),
    _form("a password for HTTP", "asic ",
          r"((?i:authorization)[\"']?\s*[:=]\s*[\"']?[Bb]asic +)[A-Za-z0-9+/=]{6,4096}"),
    # Nothing that stands for a password: `$PASS`, `{password}`, `[NAME]`, `***`, `<password>`.
    _form("a password in a URL", "@",
          r"(://[^/\s:@\"'<>\\]*:)(?![$\[{<%]|\*+@|x{3,}@)[^/\s\"'<>\\]+(?=@)"),
    _form("a secret in a URL",
          "sig= ignature= IGNATURE= oken= OKEN= key= KEY= assword= asswd= ecret= ECRET= redential=",
          rf"((?i:[?&](?:{_URL_WORDS})=))(?![$\[{{<])[^&\s\"'<>\\#]{{6,4096}}"),
)  # fmt: skip


_SHORT = 500
"""Bytes of a text in which one look for all signs is quicker than one look for each."""


@functools.cache
def _any_sign() -> re.Pattern[bytes]:
    return re.compile(b"|".join(re.escape(sign) for form in _FORMS for sign in form.signs))


def _possible(data: bytes) -> Iterator[_Form]:
    """Yield the forms that data may contain, by their signs."""
    if len(data) <= _SHORT and _any_sign().search(data) is None:
        return
    yield from (form for form in _FORMS if any(sign in data for sign in form.signs))


def masked(data: bytes) -> bytes:
    """Return data in which what has the form of a secret is blotted out."""
    for form in _possible(data):
        data = form.pattern.sub(_blotted, data)
    return data


def _blotted(found: re.Match[bytes]) -> bytes:
    kept = found.group(1) if found.re.groups else b""
    return kept + MASK.encode()


def masked_text(text: str) -> str:
    """Return a text in which what has the form of a secret is blotted out."""
    data = text.encode("utf-8", "surrogatepass")
    clean = masked(data)
    return text if clean is data else clean.decode("utf-8", "surrogatepass")


def masked_item(name: str, text: str) -> str:
    """Return a text without what has the form of a secret; all of it is one if it is called so."""
    return MASK if is_called_secret(name, text) else masked_text(text)


def masked_value(value: Any, name: str = "") -> Any:
    """Return JSON values without secrets: what has the form of one, and what is called one.

    Args:
        value: a value; keys lose what has the form of a secret, too.
        name: what the value is called.

    """
    match value:
        case str():
            return masked_item(name, value)
        case dict():
            return {masked_text(key): masked_value(item, key) for key, item in value.items()}
        case list() | tuple():
            return [masked_value(item, name) for item in value]
    return value


def forms_in(text: str) -> Iterator[str]:
    """Yield what secrets a text holds, by their form: `a token of GitHub`."""
    data = text.encode("utf-8", "surrogatepass")
    yield from (form.name for form in _possible(data) if form.pattern.search(data))


def secrets_in(text: str) -> Iterator[bytes]:
    """Yield the secrets in a text, without what stands before them."""
    data = text.encode("utf-8", "surrogatepass")
    for form in _possible(data):
        for found in form.pattern.finditer(data):
            yield found.group()[len(found.group(1)) if form.pattern.groups else 0 :]


def without_secret(name: str, value: str) -> str:
    """Return a `--set` value as it may be shown."""
    is_secret = is_called_secret(name, value) or any(forms_in(value))
    return "..." if is_secret else value
