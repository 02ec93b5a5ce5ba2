"""Secrets in an image's texts, which reports do not show.

Everybody who can pull the image can read them, but a log or a page that is passed around has other readers. A value is
hidden for its name, for the option or header that it belongs to, or for the form that well-known tokens have.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

HIDDEN: Final = "(not shown)"

# Parts of a name that belong to a secret wherever they are, and endings of its words.
_SECRET_NAME: Final = re.compile(
    r"passw|passphrase|secret|token|credential|authoriz|api_?key|access_?key|private_?key|conn(?:ection)?_?str"
    r"|(?:pass|pwd|pswd|pw|auth|key|jwt|bearer|sas|dsn|cookie|pat|pin|webhook|creds?|salt|otp|signature)s?(?:_|$)"
)
_CAMEL_CASE: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS: Final = re.compile(r"[\W_]+")
# A URL of a database or a broker holds credentials by habit; elsewhere only what stands before the host.
_SERVICE_URL: Final = re.compile(
    r"(?:database|db|redis|mongo(?:db)?|postgres(?:ql)?|mysql|amqp|broker|rabbitmq)_ur[li]$"
)
# The name of the place of a secret, which is not secret.
_PLACE: Final = re.compile(r"_(?:file|path|dir)$")

_VALUE: Final = r"""(?:"[^"]*"|'[^']*'|(?![\[{]["\[{\s])[^\s"',;|&)]+)"""
# NAME=value, "name": "value", --name=value, and headers. Each name is tried once, so that a long one takes no time.
_ASSIGNMENT: Final = re.compile(
    rf"""(?<![\w.-])([\w.-]+)(["']?\s*[:=]\s*)((?:(?:Bearer|Basic|Digest|Token|ApiKey)\s+)?{_VALUE})""", re.IGNORECASE
)
# --name value, also as the words of a JSON list.
_OPTION: Final = re.compile(rf"""(?<![\w.-])(--?[\w.-]+)(["']?,?\s+)(?!["']?-)({_VALUE})""")
# The commands in which -p is a password, not a port or a parent folder: mysql -ppassword, docker login -p password.
_PASSWORD_COMMAND: Final = re.compile(r"\b(?:mysql|mariadb|login|sshpass)[^|;&]*")
_SHORT_PASSWORD: Final = re.compile(r"(\s-p\s*)[^\s\"'-][^\s\"']*")
_OTHERS: Final = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        # scheme://user:password@host, scheme://token@host
        (r"(?<![\w.+-])([A-Za-z][\w.+-]*://)[^\s/@\"'<>]+@", rf"\1{HIDDEN}@"),
        # curl -u user:password
        (r"((?<![\w-])(?:-u|--user|--proxy-user)[\s=]*[\"']?[^\s:\"']+:)[^\s\"']+", rf"\1{HIDDEN}"),
        # https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
        (r"\b(?:gh[pousr]_|github_pat_|glpat-|npm_|xox[abprs]-|sk_live_|AKIA|ASIA)[\w-]{12,}", HIDDEN),
        # https://datatracker.ietf.org/doc/html/rfc7519#section-3.1
        (r"\beyJ[\w-]+\.eyJ[\w-]+\.[\w-]*", HIDDEN),
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?", HIDDEN),
    )
)


def redact(text: str) -> str:
    """A text of an image, such as a command or a build step, without its secrets.

    :param text: the text.
    """
    for pattern, replacement in _OTHERS:
        text = pattern.sub(replacement, text)
    text = _PASSWORD_COMMAND.sub(lambda match: _SHORT_PASSWORD.sub(rf"\1{HIDDEN}", match[0]), text)
    return _OPTION.sub(_hidden(_is_secret_option), _ASSIGNMENT.sub(_hidden(_is_secret), text))


def redact_variable(variable: str) -> str:
    """A variable, a label or an annotation without its value, if its name says that the value is secret.

    :param variable: its name, `=` and its value.
    """
    name, equals, value = variable.partition("=")
    return f"{name}={HIDDEN}" if value and _is_secret(name) else f"{name}{equals}{redact(value)}"


def _hidden(is_secret: Callable[[str], bool]) -> Callable[[re.Match[str]], str]:
    return lambda match: f"{match[1]}{match[2]}{HIDDEN}" if is_secret(match[1]) else match[0]


def _is_secret(name: str) -> bool:
    words = _SEPARATORS.sub("_", _CAMEL_CASE.sub("_", name)).lower()
    return bool(_SECRET_NAME.search(words) or _SERVICE_URL.search(words)) and not _PLACE.search(words)


def _is_secret_option(name: str) -> bool:
    return name.startswith("--") and _is_secret(name)
